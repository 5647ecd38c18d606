/** docs/explain-replay.md, by its word: each command in it is run. */
import { execFile } from 'node:child_process'
import { chmodSync, cpSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { CLI, chat, newFolder, runCommand, startGateway, stopAll, writeFiles } from '../support/gateway.ts'

const DOC = readFileSync(new URL('../../docs/explain-replay.md', import.meta.url), 'utf8')
const BLOCKS = [...DOC.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, script]) => script as string)
const ID = '01M7X9KH320T450XKPXMHRTAA0'

/** Runs a script in which `npx sallyport` is that of this tree. */
function run(script: string, folder: string): Promise<{ code: number; output: string }> {
  writeFiles(folder, { 'bin/npx': `#!/bin/sh\nshift\nexec "${process.execPath}" "${CLI}" "$@"\n` })
  chmodSync(path.join(folder, 'bin/npx'), 0o755)
  const env = { ...process.env, PATH: `${path.join(folder, 'bin')}:${process.env.PATH}` }
  return new Promise(resolve => {
    execFile('/bin/sh', ['-ec', script], { cwd: folder, env }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, output: stdout + stderr })
    })
  })
}

describe('docs/explain-replay.md', () => {
  afterEach(stopAll)

  it('has commands that do what it says', async () => {
    const folder = newFolder()
    await runCommand(['init'], { cwd: folder })
    cpSync(path.join(folder, 'policies'), path.join(folder, 'next'), { recursive: true })
    const gateway = await startGateway({
      folder,
      policy: path.join(folder, 'policies'),
      keys: [{ principal: 'dev', roles: ['developer'] }],
    })
    const refused = await chat(gateway, { body: { model: 'tiny-large' } })
    const id = refused.headers.get('x-decision-id') as string
    expect(BLOCKS).toHaveLength(5)
    for (const block of BLOCKS) {
      const { code, output } = await run(block.replaceAll(ID, id), folder)
      expect([block, code, output]).toEqual([block, 0, expect.any(String)])
      if (block.includes(ID)) expect(output).toContain('refused: 403 access_required (models)')
      if (block.includes('lea')) expect(output).toContain('refused: 403 outside_hours (hours)')
      if (block.includes('replay')) expect(output).toContain('1 of 1 decisions decided again')
    }
  })
})
