/**
 * The team: the workers of a primary, each at the end of a wire. What they share besides the store is here.
 */
import type { GatewayConfig } from '../contract/config.schema.ts'
import type { FailedAttempts } from '../identity/attempts.ts'
import type { Member, WorkerProcess } from '../workers/crew.ts'
import type {
  Attempt,
  Beginning,
  Checks,
  HandedPolicy,
  Load,
  PrimaryAnswers,
  PrimaryNotices,
  WorkerAnswers,
  WorkerNotices,
} from '../workers/messages.ts'
import { createShareDealer, type ShareDealer } from '../workers/share-dealer.ts'
import { createWire, type Wire } from '../workers/wire.ts'

export interface Teammate {
  readonly number: number
  readonly pid: number
  readonly wire: Wire<WorkerAnswers, WorkerNotices>
  /** Was told what it begins with. */
  begun: boolean
  /** Takes requests. */
  ready: boolean
  /** What it decides by. */
  revision: string | null
  load: (Load & Checks) | undefined
}

export interface Team {
  readonly shares: Pick<ShareDealer, 'configure'>
  join(number: number, process: WorkerProcess): Member
  all(): readonly Teammate[]
  /** What each that is ready answers within a moment; who does not is left out. */
  gather<T>(
    ask: (mate: Teammate) => Promise<T | undefined>,
  ): Promise<readonly { mate: Teammate; answer: T }[]>
  /** Has all of them decide by it. Who cannot is given up. Never rejects. */
  hold(handed: HandedPolicy): Promise<void>
  /** As `hold`, with a config. */
  configure(config: GatewayConfig): Promise<void>
  /** Has all look at a request for access that was changed; one that does not in time learns of it later. Never rejects. */
  echo(id: string): Promise<void>
  /** Tells each what runs with the others. */
  tellLoads(): void
  tellConfirmed(at: number): void
}

export interface TeamNeeds {
  readonly workers: number
  /** What a worker begins with, besides its slots. */
  beginning(number: number): Omit<Beginning, 'slots' | 'workers'>
  attemptsOf(counter: string, limit: number, windowMs: number): FailedAttempts
  onEnded(mate: Teammate): void
  /** A worker changed this request for access. */
  onChanged(id: string): Promise<void>
  /** It cannot do as it should. */
  onGivenUp(mate: Teammate, why: Error): void
  /** Resolves after so many milliseconds. */
  after(ms: number): Promise<void>
}

/** Loading a policy with much data takes a while; who takes longer hangs. */
const LONGEST_HOLD_MS = 30_000
const LONGEST_ANSWER_MS = 1000
/** Of those that wait no longer than that. */
const LONGEST_BEGIN_MS = 60_000

export function createTeam(needs: TeamNeeds): Team {
  const { workers, after } = needs
  const mates = new Map<number, Teammate>()
  const shares = createShareDealer({ workers, after })
  const counters = new Map<string, FailedAttempts>()
  let loadsChanged = false

  function within<T>(ms: number, work: Promise<T>): Promise<T> {
    const late = after(ms).then(() => Promise.reject(new Error(`no answer within ${ms} ms`)))
    return Promise.race([work, late])
  }

  async function attempt({ counter, limit, windowMs, group, counts }: Attempt): Promise<number | undefined> {
    const name = `${counter} ${limit} ${windowMs}`
    const attempts = counters.get(name) ?? needs.attemptsOf(counter, limit, windowMs)
    counters.set(name, attempts)
    return counts ? attempts.count(group) : attempts.wait(group)
  }

  function join(number: number, process: WorkerProcess): Member {
    const wire = createWire<WorkerAnswers, WorkerNotices, PrimaryAnswers, PrimaryNotices>(
      process,
      {
        seek: urls => shares.seek(number, urls),
        attempt,
        changed: id => echo(id, number),
        async named(principal) {
          const told = await gather(other => (other === mate ? NOTHING : other.wire.ask('named', principal)))
          return told.map(({ answer }) => answer)
        },
      },
      {
        gave: ({ url, slots }) => shares.gave(number, url, slots),
        rest: urls => shares.rest(number, urls),
        up: () => up(),
        load(load) {
          mate.load = load
          loadsChanged = true
        },
      },
    )
    const { pid } = process
    const mate: Teammate = { number, pid, wire, begun: false, ready: false, revision: null, load: undefined }
    mates.set(number, mate)
    let gone: (error: Error) => void = () => {}
    let up: () => void = () => {}
    const isUp = new Promise<void>((resolve, reject) => {
      up = resolve
      gone = reject
    })
    return {
      ready: within(LONGEST_BEGIN_MS, isUp.then(begin)).then(() => {
        mate.ready = true
      }),
      ended() {
        mate.ready = false
        needs.onEnded(mate)
        wire.close('the worker has ended')
        gone(new Error('the worker ended before it began'))
        if (mates.get(number) === mate) mates.delete(number)
        shares.leave(number)
        loadsChanged = true
      },
      async stop(hurry) {
        mate.ready = false
        if (mate.begun) await wire.ask('stop', { hurry })
      },
    }

    /** With what is in force now: what changes from here on it is told. */
    function begin(): Promise<number> {
      const slots = shares.join(number, {
        allowed: (url, slots) => wire.tell('allowed', { url, slots }),
        keep: url => wire.tell('keep', { url }),
        recall: order => wire.ask('recall', order),
      })
      const beginning = needs.beginning(number)
      mate.begun = true
      mate.revision = beginning.policy?.id ?? null
      return wire.ask('begin', { ...beginning, workers, slots })
    }
  }

  async function echo(id: string, by?: number): Promise<void> {
    const others = begun().filter(({ number }) => number !== by)
    const looks = others.map(({ wire }) => wire.ask('look', id))
    if (by !== undefined) looks.push(needs.onChanged(id))
    await Promise.all(looks.map(look => within(LONGEST_ANSWER_MS, look).catch(() => {})))
  }

  async function gather<T>(ask: (mate: Teammate) => Promise<T | undefined>) {
    const ready = [...mates.values()].filter(mate => mate.ready)
    const answers = await Promise.all(
      ready.map(async mate => {
        const answer = await within(LONGEST_ANSWER_MS, ask(mate)).catch(() => undefined)
        return answer === undefined ? [] : [{ mate, answer }]
      }),
    )
    return answers.flat()
  }

  const begun = (): Teammate[] => [...mates.values()].filter(mate => mate.begun)

  /** Who does not do it is no part of the team any more. Never rejects. */
  async function haveAll(work: (mate: Teammate) => Promise<void>): Promise<void> {
    await Promise.all(
      begun().map(async mate => {
        try {
          await within(LONGEST_HOLD_MS, work(mate))
        } catch (error) {
          // Who has ended meanwhile is replaced by one that begins with it.
          if (mates.get(mate.number) === mate) needs.onGivenUp(mate, error as Error)
        }
      }),
    )
  }

  return {
    shares,
    join,
    all: () => [...mates.values()].sort((one, other) => one.number - other.number),
    gather,
    hold: handed =>
      haveAll(async mate => {
        await mate.wire.ask('hold', handed)
        if (handed.role === 'policy') mate.revision = handed.id
      }),
    echo: id => echo(id),
    configure: config => haveAll(mate => mate.wire.ask('configure', config)),
    tellLoads() {
      if (!loadsChanged) return
      loadsChanged = false
      for (const mate of begun()) {
        const others = [...mates.values()].flatMap(({ load }) => (load && load !== mate.load ? [load] : []))
        mate.wire.tell('elsewhere', {
          inFlight: summed(others.map(({ inFlight }) => inFlight)),
          queued: summed(others.map(({ queued }) => queued)),
        })
      }
    },
    tellConfirmed(at) {
      for (const { wire } of begun()) wire.tell('confirmed', at)
    },
  }
}

const NOTHING = Promise.resolve(undefined)

function summed(all: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums: Record<string, number> = {}
  for (const counts of all)
    for (const [name, count] of Object.entries(counts)) sums[name] = (sums[name] ?? 0) + count
  return sums
}
