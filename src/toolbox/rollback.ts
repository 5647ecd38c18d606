/**
 * `rollback`: puts an earlier revision in force that a running gateway still holds.
 */
import { type AdminOptions, askAdmin } from './admin-client.ts'
import { CommandExit, EXIT, print, printJson } from './output.ts'

interface RolledBack {
  readonly revision: string
  readonly from: string
}

interface NotRolledBack {
  readonly error: { readonly message: string }
  readonly held?: readonly string[]
}

/** @param revision - Without one: what was in force before. */
export async function rollback(revision: string | undefined, options: AdminOptions): Promise<void> {
  const body = revision === undefined ? {} : { revision }
  const answer = await askAdmin(options, 'POST', '/policy/rollback', body)
  if (options.format === 'json') printJson(answer.body)
  if (answer.status !== 200) {
    if (options.format === 'pretty') print((answer.body as NotRolledBack).error.message)
    throw new CommandExit(EXIT.findings)
  }
  if (options.format === 'pretty') {
    const done = answer.body as RolledBack
    print(`${done.revision} is in force, and no longer ${done.from}, until the source changes again`)
  }
}
