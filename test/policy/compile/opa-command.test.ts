import { chmodSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { findOpa } from '../../../src/policy/compile/opa-command.ts'
import { temporaryFolder } from '../../support/folder.ts'
import { rejectionOf } from '../../support/thrown.ts'

/** A command of the name `opa` that only says who it is. */
function imitation(script = 'echo "Version: 9.9.9"'): { folder: string; file: string } {
  const folder = temporaryFolder({ opa: `#!/bin/sh\n${script}\n` })
  const file = path.join(folder, 'opa')
  chmodSync(file, 0o755)
  return { folder, file }
}

describe('which opa is used', () => {
  it('is the one that SALLYPORT_OPA names, before any other', async () => {
    const { file, folder } = imitation()
    expect(findOpa({ SALLYPORT_OPA: file, PATH: folder })?.path).toBe(file)
    expect(await findOpa({ SALLYPORT_OPA: file })?.version()).toBe('9.9.9')
  })

  it('is the one that npm installed, before the one on PATH', () => {
    const { file, folder } = imitation()
    const found = findOpa({ PATH: folder })?.path
    expect(found).not.toBe(file)
    expect(found).toContain('node_modules')
  })

  it('is not asked from an empty variable', () => {
    expect(findOpa({ SALLYPORT_OPA: '', PATH: '' })?.path).toContain('node_modules')
  })
})

describe('running it', () => {
  const commandAt = (file: string) =>
    findOpa({ SALLYPORT_OPA: file }) as NonNullable<ReturnType<typeof findOpa>>

  it('gives the status and both outputs, whatever the status', async () => {
    const { file } = imitation('echo out; echo err >&2; exit 3')
    expect(await commandAt(file).run([])).toEqual({ status: 3, stdout: 'out\n', stderr: 'err\n' })
  })

  it('hands arguments over as they are: no shell reads them', async () => {
    const { file } = imitation('printf "%s|" "$@"')
    expect((await commandAt(file).run(['a b', '$(id)', '; ls', '*'])).stdout).toBe('a b|$(id)|; ls|*|')
  })

  it('runs where it is told', async () => {
    const { file } = imitation('ls')
    expect((await commandAt(file).run([], { cwd: temporaryFolder({ 'here.rego': '' }) })).stdout).toBe(
      'here.rego\n',
    )
  })

  it('says that it cannot be started, or was killed', async () => {
    expect((await rejectionOf(commandAt(path.join(temporaryFolder(), 'gone')).run([]))).code).toBe(
      'opa_unavailable',
    )
    const { file } = imitation('kill -9 $$')
    expect((await rejectionOf(commandAt(file).run([]))).code).toBe('opa_unavailable')
  })
})
