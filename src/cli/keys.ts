/**
 * API keys: made, listed, ended.
 */
import { type Command, type Common, command, formatOption } from './command.ts'
import { duration, list } from './values.ts'

interface KeyFlags extends Common {
  readonly principal: string
  readonly roles: string[]
  readonly team?: string
  readonly kind: string
  readonly models?: string[]
  readonly expires?: string
}

export function addKeyCommands(program: Command): void {
  const keys = program.command('keys').description('API keys')

  command(keys, 'create', 'make a key; its secret is shown once')
    .addOption(formatOption())
    .requiredOption('--principal <id>', 'who the key is for')
    .option('--roles <list>', 'roles, separated by commas', list, [])
    .option('--team <name>', 'the team of the principal')
    .option('--kind <word>', 'service, user, …', 'service')
    .option('--models <list>', 'the only models that it is for, separated by commas', list)
    .option('--expires <duration>', 'how long it is good for, such as 30d', duration)
    .action(async (flags: KeyFlags) => {
      const { createKey, withKeys } = await import('../toolbox/keys.ts')
      const { principal, roles, team = null, kind, models, expires } = flags
      const key = { principal, roles, team, kind, models, expires }
      await withKeys(flags, place => createKey(place, key, flags.format))
    })

  command(keys, 'rotate <id>', 'make a key with the rights of another, which goes on for a while')
    .addOption(formatOption())
    .option('--overlap <duration>', 'how long the old key goes on', duration, '24h')
    .action(async (id: string, flags: Common & { readonly overlap: string }) => {
      const { rotateKey, withKeys } = await import('../toolbox/keys.ts')
      await withKeys(flags, place => rotateKey(place, id, flags.overlap, flags.format))
    })

  command(keys, 'list', 'the keys and what became of them')
    .addOption(formatOption())
    .action(async (flags: Common) => {
      const { listKeys, withKeys } = await import('../toolbox/keys.ts')
      await withKeys(flags, place => listKeys(place, flags.format))
    })

  command(keys, 'revoke <id>', 'end a key at once')
    .addOption(formatOption())
    .action(async (id: string, flags: Common) => {
      const { revokeKey, withKeys } = await import('../toolbox/keys.ts')
      await withKeys(flags, place => revokeKey(place, id, flags.format))
    })
}
