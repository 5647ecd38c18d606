/**
 * Gathered: what operators see of all workers together, asked for when somebody looks.
 */
import type { LimitStanding } from '../contract/seen.ts'
import type { LiveTraffic } from '../server/admin-listener.ts'
import type { DecisionJournal } from '../server/decision-feed.ts'
import type { Journal } from '../telemetry/journal.ts'
import {
  countedIn,
  type Families,
  familiesText,
  mergeFamilies,
  readFamilies,
} from '../telemetry/merge-metrics.ts'
import type { Pulse } from '../telemetry/pulse.ts'
import { mergeLimits } from '../workers/merge-status.ts'
import type { Team, Teammate } from './team.ts'

export interface Gathered {
  readonly journal: DecisionJournal
  readonly live: LiveTraffic
  /** @param own - Those of the primary. */
  metrics(own: string): Promise<string>
  limits(): Promise<{ readonly limits: readonly LimitStanding[] }>
  /** What it counted stays counted. */
  left(mate: Teammate): void
}

export interface GatheredNeeds {
  readonly team: Pick<Team, 'all' | 'gather'>
  /** Take what is gathered. */
  readonly journal: Journal
  readonly pulse: Pulse
  /** Milliseconds since the epoch. */
  now(): number
  /** @returns what ends it. */
  every(ms: number, work: () => void): () => void
}

/** How often those who follow decisions are told of new ones. */
const LOOK_EVERY_MS = 250
const REMEMBERED_MS = 300_000

/** What was gathered from a worker so far. */
interface Read {
  /** The number of its next record. */
  record: number
  /** The first second that was not read. */
  second: number
  families: Families
}

export function createGathered({ team, journal, pulse, now, every }: GatheredNeeds): Gathered {
  const reads = new WeakMap<Teammate, Read>()
  /** What those counted that are gone. */
  let retired: Families = new Map()

  function readOf(mate: Teammate): Read {
    const known = reads.get(mate)
    if (known) return known
    const second = Math.floor((now() - REMEMBERED_MS) / 1000)
    const read = { record: 0, second, families: new Map() }
    reads.set(mate, read)
    return read
  }

  const fresh = inTurn(async () => {
    const answers = await team.gather(mate => mate.wire.ask('decisions', readOf(mate).record))
    for (const { mate, answer } of answers) readOf(mate).record = answer.next
    for (const record of inOrder(answers.flatMap(({ answer }) => answer.records))) journal.take(record)
  })

  const freshPulse = inTurn(async () => {
    const until = Math.floor(now() / 1000)
    const answers = await team.gather(mate => mate.wire.ask('seconds', readOf(mate).second))
    for (const { mate, answer } of answers) {
      for (const second of answer) if (second.at < until) pulse.add(second)
      readOf(mate).second = until
    }
  })

  return {
    journal: {
      fresh,
      entries: journal.entries,
      find: journal.find,
      follow(listener) {
        const end = journal.follow(listener)
        const rest = every(LOOK_EVERY_MS, () => void fresh())
        return () => {
          rest()
          end()
        }
      },
    },
    live: {
      async snapshot() {
        await freshPulse()
        return pulse.snapshot()
      },
      follow: listener =>
        pulse.follow(async () => {
          await freshPulse()
          const { seconds, last } = pulse.snapshot()
          listener({ ...seconds.at(-1), last })
        }),
    },
    async metrics(own) {
      const answers = await team.gather(mate => mate.wire.ask('metrics'))
      for (const { mate, answer } of answers) readOf(mate).families = readFamilies(answer)
      // Of who does not answer in time, what it told last: what is counted must not seem to shrink.
      const told = team.all().map(mate => readOf(mate).families)
      return familiesText(mergeFamilies([readFamilies(own), ...told, retired]))
    },
    async limits() {
      const answers = await team.gather(mate => mate.wire.ask('limits'))
      return { limits: mergeLimits(answers.map(({ answer }) => answer)) }
    },
    left(mate) {
      retired = mergeFamilies([retired, countedIn(readOf(mate).families)])
    },
  }
}

const ID = /^\{"event":"[a-z]+","decision_id":"([^"]+)"/

/** By decision, whose ids are in the order of time; an outcome comes after its decision as it is. */
function inOrder(records: readonly string[]): readonly string[] {
  return records
    .map(record => ({ record, id: ID.exec(record)?.[1] ?? '' }))
    .sort((one, other) => (one.id < other.id ? -1 : one.id > other.id ? 1 : 0))
    .map(({ record }) => record)
}

/** Who asks while it runs waits for it: nothing is gathered twice. */
function inTurn(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  return () => {
    running ??= work().finally(() => {
      running = undefined
    })
    return running
  }
}
