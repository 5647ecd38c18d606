/** The real `opa`, as a stranger to our bundles. */
import { execFile } from 'node:child_process'
import { requireOpa } from '../../src/policy/compile/opa-command.ts'

export interface OpaResult {
  readonly code: number
  readonly output: string
}

export function opa(args: readonly string[], cwd: string): Promise<OpaResult> {
  return new Promise(resolve => {
    execFile(requireOpa().path, args, { cwd }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code ?? -1) : 0, output: stdout + stderr })
    })
  })
}
