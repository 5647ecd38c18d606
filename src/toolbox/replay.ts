/**
 * `replay`: what an audit log says was decided, decided again by another policy.
 */
import { createReplay, type ReplaySummary, verdictText } from '../policy/replay/replay.ts'
import { readLogs } from './audit-read.ts'
import { configFor } from './config.ts'
import { CommandExit, EXIT, type Format, print, printJson, table } from './output.ts'
import { openPolicy } from './policy.ts'

export interface ReplayOptions {
  readonly config: string
  readonly format: Format
  /** Instead of the config's. */
  readonly policy?: string
  readonly maxFlips: number
}

export async function replay(logs: readonly string[], options: ReplayOptions): Promise<void> {
  const config = configFor(options.config, options.format)
  const policy = await openPolicy(config, options.policy)
  const began = performance.now()
  try {
    const { reads, entrypoint, revision } = policy
    const again = createReplay({ entrypoint, reads, decide: revision.decide })
    await readLogs(logs, again.take)
    const summary = again.summary()
    const seconds = (performance.now() - began) / 1000
    if (options.format === 'json') printJson({ ...summary, revision: revision.id })
    else printSummary(summary, revision.id, seconds)
    if (summary.flips > options.maxFlips) throw new CommandExit(EXIT.findings)
  } finally {
    policy.close()
  }
}

function printSummary(summary: ReplaySummary, revision: string, seconds: number): void {
  const { records, decided, flips, masked, torn, groups } = summary
  if (groups.length > 0) {
    const rows = groups.map(({ count, rule, principal, model, example }) => [
      String(count),
      rule,
      principal,
      model,
      `${verdictText(example.old)} -> ${verdictText(example.new)}`,
      example.decision_id,
    ])
    print(table([['FLIPS', 'RULE', 'PRINCIPAL', 'MODEL', 'FOR EXAMPLE', 'DECISION'], ...rows]))
    print('')
  }
  print(
    `${decided} of ${records} decisions decided again by ${revision} in ${seconds.toFixed(1)} s: ${flips} flips`,
  )
  if (masked > 0)
    print(
      `${masked} not decided: the policy may look at what was left out of the record (audit.content keeps it)`,
    )
  if (torn > 0) print(`${torn} lines are no records, such as one that was still being written`)
}
