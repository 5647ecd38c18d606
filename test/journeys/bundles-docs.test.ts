/** docs/bundles.md, by its word: each command in it is run. */
import { execFile } from 'node:child_process'
import { chmodSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { requireOpa } from '../../src/policy/compile/opa-command.ts'
import { CLI, newFolder, runCommand, startGateway, stopAll, writeFiles } from '../support/gateway.ts'

const DOC = readFileSync(new URL('../../docs/bundles.md', import.meta.url), 'utf8')
const commandsUnder = (heading: string): string =>
  new RegExp(`## ${heading}\\n[\\s\\S]*?\`\`\`sh\\n([\\s\\S]*?)\`\`\``).exec(DOC)?.[1] ?? ''

/** Runs a script in which `npx sallyport` and `opa` are those of this tree. */
function run(script: string, folder: string): Promise<{ code: number; output: string }> {
  writeFiles(folder, {
    'bin/npx': `#!/bin/sh\nshift\nexec "${process.execPath}" "${CLI}" "$@"\n`,
    'bin/opa': `#!/bin/sh\nexec "${requireOpa().path}" "$@"\n`,
  })
  for (const name of ['npx', 'opa']) chmodSync(path.join(folder, 'bin', name), 0o755)
  const env = { ...process.env, PATH: `${path.join(folder, 'bin')}:${process.env.PATH}` }
  return new Promise(resolve => {
    execFile('/bin/sh', ['-ec', script], { cwd: folder, env }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, output: stdout + stderr })
    })
  })
}

describe('docs/bundles.md', () => {
  afterEach(stopAll)

  it('builds and signs a bundle as it says', async () => {
    const folder = newFolder()
    await runCommand(['init'], { cwd: folder })
    for (const heading of ['Build', 'Sign']) {
      expect(commandsUnder(heading)).toContain('npx sallyport build')
      expect(await run(commandsUnder(heading), folder)).toMatchObject({ code: 0 })
    }
  })

  it('rolls back as it says', async () => {
    const policy = (rule: string) => ({
      'gateway.rego': `package gateway\n\ndecision := {"allow": true, "rule": "${rule}"}\n`,
    })
    const gateway = await startGateway({ policy: policy('one') })
    const { revision } = await gateway.logged('policy_activated')
    for (const rule of ['two', 'three']) {
      gateway.writePolicy(policy(rule))
      await gateway.logged('policy_activated')
    }
    const script = commandsUnder('Roll back')
      .replace('953e77e4e2c697ba', String(revision))
      .replace(/^npx.*$/gm, line => `${line} --admin ${gateway.adminUrl}`)
    expect(await run(script, gateway.folder)).toMatchObject({ code: 0 })
    expect((await gateway.status()).policy.revision).toBe(revision)
  })

  it('names every code with which a bundle is refused', () => {
    const sources = [
      'bundles/bundle.ts',
      'activate/bundle-edition.ts',
      'bundles/request.ts',
      'bundles/signature.ts',
      'bundles/signature-keys.ts',
    ]
    const code = sources
      .map(name => readFileSync(new URL(`../../src/policy/${name}`, import.meta.url), 'utf8'))
      .join('\n')
    const codes = [...code.matchAll(/'((?:\w+_bundle|bad_\w+|bundle_\w+|tampered_\w+))'/g)].map(
      match => match[1],
    )
    expect(new Set(codes).size).toBeGreaterThan(5)
    for (const one of codes) expect(DOC).toContain(`\`${one}\``)
  })
})
