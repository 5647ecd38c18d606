/**
 * The audit log, read and verified.
 */

import type { FilterFlags as RequestFlags } from '../toolbox/audit-filter.ts'
import { chainsIn, withWorkers } from '../toolbox/audit-logs.ts'
import { configFor } from '../toolbox/config.ts'
import { CommandFailure, EXIT } from '../toolbox/output.ts'
import { type Command, type Common, choice, command, formatOption } from './command.ts'
import { appended, positiveNumber, wholeNumber } from './values.ts'

type FilterFlags = Common & RequestFlags

const filtered = (of: Command): Command =>
  of
    .option('--principal <id>', 'only requests of this principal')
    .option('--model <name>', 'only requests for this model')
    .option('--rule <name>', 'only what this rule decided')
    .option('--outcome <word>', 'only what ended so: completed, refused, client_closed, …')
    .option('--code <word>', 'only what was refused with this code')
    .option('--refused', 'only what was refused')
    .option('--since <moment>', 'only from then on: 2026-01-31T12:00:00Z, or 24h for the last day')
    .option('--until <moment>', 'only before then')

/** The logs of the config's own sinks that are files. */
export const auditFilesOf = (flags: Common): string[] => logsOf(flags, sinks => sinks)

/** The logs that are meant: what one sink holds, with those of its workers. */
function auditLogsOf(files: readonly string[], flags: Common): readonly string[] {
  if (files.length > 0) return files
  const logs = logsOf(flags, sinks => sinks.slice(0, 1))
  if (logs.length === 0) throw new CommandFailure(EXIT.usage, 'the config has no sink that is a file')
  return logs
}

function logsOf({ config, format }: Common, wanted: (files: string[]) => string[]): string[] {
  const { sinks } = configFor(config, format).audit
  return wanted(sinks.flatMap(sink => (sink.type === 'file' ? [sink.path] : []))).flatMap(withWorkers)
}

interface ExportFlags {
  readonly format: 'csv' | 'ndjson'
  readonly output?: string
}

export function addAuditCommands(program: Command): void {
  const audit = program.command('audit').description('the audit log')

  command(
    audit,
    'verify [file...]',
    'check that the log is what was written; without files, the configured one',
  )
    .addOption(formatOption())
    .option('--public-key <file>', 'of checkpoints; may be given again', appended, [])
    .action(async (files: string[], flags: Common & { readonly publicKey: string[] }) => {
      const { auditVerify } = await import('../toolbox/audit.ts')
      await auditVerify(files.length > 0 ? chainsIn(files) : auditFilesOf(flags).map(file => [file]), flags)
    })

  filtered(command(audit, 'tail [file]', 'the latest requests, and with --follow those to come'))
    .addOption(formatOption())
    .option('-n, --lines <number>', 'how many', wholeNumber, 10)
    .option('-f, --follow', 'go on, over rotations')
    .action(async (file: string | undefined, flags: FilterFlags & { lines: number; follow?: boolean }) => {
      const [{ auditTail }, { filterOf }] = await Promise.all([
        import('../toolbox/audit-tail.ts'),
        import('../toolbox/audit-filter.ts'),
      ])
      await auditTail(
        auditLogsOf(file === undefined ? [] : [file], flags),
        filterOf(flags, Date.now()),
        flags,
      )
    })

  filtered(command(audit, 'stats [file...]', 'what it amounts to, per principal, model, rule and hour'))
    .addOption(formatOption())
    .option('--top <number>', 'how many of each are printed', positiveNumber, 20)
    .action(async (files: string[], flags: FilterFlags & { readonly top: number }) => {
      const [{ auditStats }, { filterOf }] = await Promise.all([
        import('../toolbox/audit-stats.ts'),
        import('../toolbox/audit-filter.ts'),
      ])
      await auditStats(auditLogsOf(files, flags), filterOf(flags, Date.now()), flags.format, flags.top)
    })

  filtered(command(audit, 'export [file...]', 'one row a request, for a spreadsheet or a database'))
    .addOption(choice('--format <form>', 'how rows are written', ['csv', 'ndjson']))
    .option('-o, --output <file>', 'where to; standard output otherwise')
    .action(async (files: string[], flags: Omit<FilterFlags, 'format'> & ExportFlags) => {
      const [{ auditExport }, { filterOf }] = await Promise.all([
        import('../toolbox/audit-export.ts'),
        import('../toolbox/audit-filter.ts'),
      ])
      const logs = auditLogsOf(files, { ...flags, format: 'pretty' })
      await auditExport(logs, filterOf(flags, Date.now()), flags)
    })

  command(audit, 'keygen', 'make a key that signs checkpoints')
    .addOption(formatOption())
    .option('-o, --output <file>', 'the private key; its public half goes to FILE.pub', 'audit.key')
    .action(async (flags: Common & { readonly output: string }) => {
      const { auditKeygen } = await import('../toolbox/audit.ts')
      auditKeygen(flags.output, flags.format)
    })
}
