#!/usr/bin/env node
/**
 * The command line. What each command takes is in `cli/`, what it does in `toolbox/`.
 *
 * Exit status: 0 good, 1 findings, 2 wrong usage or an invalid config, 3 a failure while running.
 */
import { addAccessCommands } from './cli/access.ts'
import { addAuditCommands } from './cli/audit.ts'
import { createProgram, statusOfUsage } from './cli/command.ts'
import { addGatewayCommands } from './cli/gateway.ts'
import { addKeyCommands } from './cli/keys.ts'
import { addPolicyCommands } from './cli/policies.ts'
import { addStartCommands } from './cli/start.ts'
import { addUsageCommand } from './cli/usage.ts'
import { CommandExit, CommandFailure, EXIT, endWithReader } from './toolbox/output.ts'
import { VERSION } from './version.ts'

const program = createProgram(
  'sallyport',
  'A policy-as-code gateway for small language models',
  VERSION,
).hook('preAction', (_program, action) => {
  // A gateway goes on: what it cannot write there is a failure of its audit.
  if (action.name() !== 'serve') endWithReader()
})

// In the order of the help.
addStartCommands(program)
addPolicyCommands(program)
addKeyCommands(program)
addUsageCommand(program)
addAuditCommands(program)
addGatewayCommands(program)
addAccessCommands(program)

function exitStatusOf(error: unknown): number {
  if (error instanceof CommandExit) return error.status
  const misused = statusOfUsage(error)
  if (misused !== undefined) return misused
  const failure =
    error instanceof CommandFailure
      ? error
      : new CommandFailure(EXIT.failure, String((error as Error)?.message ?? error))
  process.stderr.write(`sallyport: ${failure.message}\n`)
  return failure.status
}

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = exitStatusOf(error)
}
