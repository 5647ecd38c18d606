import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, expect, it } from 'vitest'

describe('the demo', () => {
  it('ends its tour with everything as told', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'sallyport-demo-'))
    const demo = path.join(import.meta.dirname, 'demo.ts')
    const { code, output } = await new Promise<{ code: number; output: string }>(resolve => {
      const args = ['--import', import.meta.resolve('tsx'), demo, '--once']
      execFile(process.execPath, args, { cwd: folder }, (error, stdout, stderr) => {
        resolve({ code: error ? Number(error.code ?? -1) : 0, output: stdout + stderr })
      })
    })
    rmSync(folder, { recursive: true, force: true })
    expect([code, output]).toEqual([0, expect.stringContaining('Everything came out as told.')])
    expect(output).not.toContain('✗')
  }, 180_000)
})
