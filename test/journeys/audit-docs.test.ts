/** docs/audit.md, by its word: each command in it is run, with the config and the policy that it shows. */
import { execFile } from 'node:child_process'
import { chmodSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import {
  CLI,
  chat,
  newFolder,
  OPEN_POLICY,
  runCommand,
  startGateway,
  stopAll,
  writeFiles,
} from '../support/gateway.ts'

const DOC = readFileSync(new URL('../../docs/audit.md', import.meta.url), 'utf8')
const blocks = (language: string): string[] =>
  [...DOC.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(
    ([, text]) => text as string,
  )

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

describe('docs/audit.md', () => {
  afterEach(stopAll)

  it('has a config, a policy and commands that do what it says', async () => {
    const folder = newFolder()
    const [sinks, checkpoints] = blocks('json').map(text => (JSON.parse(text) as { audit: object }).audit)
    await runCommand(['audit', 'keygen'], { cwd: folder })
    const gateway = await startGateway({
      folder,
      config: { audit: { ...sinks, ...checkpoints, maskKey: 'a key of sixteen letters' } },
      policy: { ...OPEN_POLICY, 'mask.rego': blocks('rego')[0] as string },
      keys: [{ principal: 'dev' }],
      env: { COLLECTOR_TOKEN: 'secret' },
    })
    await (await chat(gateway, { headers: { 'x-session': 'private' } })).arrayBuffer()
    await (await chat(gateway, { key: 'slp_nobody' })).arrayBuffer()
    await gateway.stop()
    expect(readFileSync(path.join(folder, 'audit.jsonl'), 'utf8')).not.toContain('private')

    const commands = blocks('sh').flatMap(block => block.trimEnd().split('\n'))
    expect(commands.length).toBeGreaterThan(8)
    for (const command of commands) {
      if (command.startsWith('jq')) continue
      const script = command
        .replace('/path/to/audit.jsonl', 'audit.jsonl')
        .replace('-o audit.key', '-o another.key')
      // The collector needs its token to be there, whatever reads the config.
      const { code, output } = await run(`export COLLECTOR_TOKEN=secret; ${script}`, folder)
      expect([command, code, output]).toEqual([command, 0, expect.any(String)])
      if (command.includes('--refused') || command.includes('keygen') || command.includes(' -o ')) continue
      if (command.includes('verify')) expect(output).toMatch(/the chain is whole|"ok": true/)
    }
    expect(readFileSync(path.join(folder, 'audit.csv'), 'utf8').trimEnd().split('\r\n')).toHaveLength(3)
  })
})
