/**
 * A running gateway, for those who operate it.
 */
import { type Command, type Common, command, formatOption } from './command.ts'
import { duration } from './values.ts'

interface AdminFlags extends Common {
  readonly admin?: string
}

const ADMIN_OPTION = [
  '--admin <url>',
  'the admin listener of a running gateway; the config says where otherwise',
] as const

interface TopFlags extends AdminFlags {
  readonly interval: string
  readonly once?: boolean
}

export function addGatewayCommands(program: Command): void {
  command(program, 'rollback [revision]', 'put an earlier revision in force that the gateway still holds')
    .addOption(formatOption())
    .option(...ADMIN_OPTION)
    .action(async (revision: string | undefined, flags: AdminFlags) => {
      const { rollback } = await import('../toolbox/rollback.ts')
      await rollback(revision, flags)
    })

  command(program, 'status', 'what a running gateway is doing')
    .addOption(formatOption())
    .option(...ADMIN_OPTION)
    .action(async (flags: AdminFlags) => {
      const { status } = await import('../toolbox/status.ts')
      await status(flags)
    })

  command(program, 'top', 'what a running gateway is doing, live')
    .addOption(formatOption())
    .option(...ADMIN_OPTION)
    .option('--interval <duration>', 'how often it is drawn again', duration, '1s')
    .option('--once', 'print it once, as where there is no terminal')
    .action(async (flags: TopFlags) => {
      const { top } = await import('../toolbox/top.ts')
      await top(flags)
    })
}
