/**
 * What was used, and what it costs.
 */
import { type Command, choice, command } from './command.ts'

interface UsageFlags {
  readonly config: string
  readonly format: 'pretty' | 'table' | 'csv' | 'json'
  readonly by: 'principal' | 'team' | 'model' | 'day'
  readonly since: string
  readonly admin?: string
}

export function addUsageCommand(program: Command): void {
  command(program, 'usage', 'requests, tokens and cost by principal, team, model or day')
    .addOption(choice('--format <form>', 'how it is printed', ['pretty', 'table', 'csv', 'json']))
    .addOption(choice('--by <what>', 'what is summed up', ['principal', 'team', 'model', 'day']))
    .option('--since <when>', 'the first day: 2026-01-31, or how long ago', '30d')
    .option('--admin <url>', 'the admin listener of a running gateway, asked instead of the store')
    .action(async (flags: UsageFlags) => {
      const { usage } = await import('../toolbox/usage.ts')
      await usage(flags)
    })
}
