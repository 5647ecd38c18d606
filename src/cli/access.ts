/**
 * A caller of a running gateway: who it is, and access for a while.
 */
import { parseDuration } from '../contract/units.ts'
import { auditFilesOf } from './audit.ts'
import { type Command, type Common, command, formatOption } from './command.ts'
import { duration, list } from './values.ts'

interface CallerFlags extends Common {
  readonly url?: string
}

const URL_OPTION = [
  '--url <url>',
  'the gateway; the config says where otherwise. The key is in SALLYPORT_KEY',
] as const

interface AskFlags extends CallerFlags {
  readonly models: string[]
  readonly roles: string[]
  readonly duration: string
  readonly reason: string
  readonly ticket?: string
  readonly notBefore?: string
  readonly emergency?: boolean
  readonly token?: boolean
  readonly wait?: boolean
}

interface CommentFlags extends CallerFlags {
  readonly comment?: string
}

export function addAccessCommands(program: Command): void {
  command(program, 'whoami', 'who a key is, what is granted to it, and what is left of its limits')
    .addOption(formatOption())
    .option(...URL_OPTION)
    .action(async (flags: CallerFlags) => {
      const { whoami } = await import('../toolbox/whoami.ts')
      await whoami(flags)
    })

  const access = program.command('access').description('just-in-time access, against a running gateway')

  command(access, 'request', 'ask for models or roles, for a while')
    .addOption(formatOption())
    .option(...URL_OPTION)
    .option('--models <list>', 'models, separated by commas', list, [])
    .option('--roles <list>', 'roles, separated by commas', list, [])
    .requiredOption('--duration <duration>', 'for how long, such as 2h', duration)
    .requiredOption('--reason <text>', 'what for')
    .option('--ticket <id>', 'what it belongs to')
    .option('--not-before <time>', 'when it is to begin, RFC 3339; at its approval otherwise')
    .option('--emergency', 'break glass: at once where the policy offers it, and marked in every record')
    .option('--token', 'with a credential that is worth this grant alone')
    .option('--wait', 'until it is decided')
    .action(async (flags: AskFlags) => {
      const { requestAccess } = await import('../toolbox/access.ts')
      const { emergency = false, token = false, wait = false } = flags
      await requestAccess({ ...flags, emergency, token, wait }, flags)
    })

  command(access, 'list', 'your requests and grants, and what you may decide on')
    .addOption(formatOption())
    .option(...URL_OPTION)
    .option('--all', 'the grants of others too, where you may approve them')
    .action(async (flags: CallerFlags & { readonly all?: boolean }) => {
      const { listAccess } = await import('../toolbox/access.ts')
      await listAccess(flags.all ?? false, flags)
    })

  for (const word of ['approve', 'deny'] as const) {
    command(access, `${word} <request>`, `${word} what somebody asked for`)
      .addOption(formatOption())
      .option(...URL_OPTION)
      .option('--comment <text>', 'why')
      .action(async (id: string, flags: CommentFlags) => {
        const { decideAccess } = await import('../toolbox/access.ts')
        await decideAccess(id, word, flags.comment, flags)
      })
  }

  for (const [word, description] of [
    ['revoke', 'end the grant of somebody else at once'],
    ['return', 'give a grant of your own back'],
  ] as const) {
    command(access, `${word} <grant>`, description)
      .addOption(formatOption())
      .option(...URL_OPTION)
      .option('--comment <text>', 'why')
      .action(async (id: string, flags: CommentFlags) => {
        const { endAccess } = await import('../toolbox/access.ts')
        await endAccess(id, flags.comment, flags)
      })
  }

  command(
    access,
    'report [audit...]',
    'who had what, when, on whose word, and what was used; from the audit log',
  )
    .addOption(formatOption())
    .option('--since <duration>', 'how far back', duration, '90d')
    .action(async (files: string[], flags: Common & { readonly since: string }) => {
      const { reportAccess } = await import('../toolbox/access-report.ts')
      const logs = files.length > 0 ? files : auditFilesOf(flags)
      await reportAccess(parseDuration(flags.since), logs, flags.format)
    })
}
