/**
 * Recovery: what the last run left in the log, and where the chain goes on.
 *
 * A torn last line is cut off; requests that were let through and never ended are named, so that
 * the new run can close them with the outcome `interrupted`.
 */
import { existsSync, statSync, truncateSync } from 'node:fs'
import { GENESIS, type Link, read } from './chain.ts'
import { CHECKPOINT_START } from './checkpoint.ts'
import { readHead } from './head.ts'
import { linesInBatches } from './lines.ts'
import { partsOf } from './parts.ts'

export interface Recovery {
  /** The link that the next record follows. */
  readonly from: Link
  /** Bytes of a torn last line that were cut off. */
  readonly tornBytes: number
  /** Decisions that were let through and have no outcome. */
  readonly open: readonly string[]
  /** Records that `FILE.head` knows and the file does not hold; the gap stays visible in the chain. */
  readonly missing: number
  /** The last run said goodbye, or there was none. */
  readonly clean: boolean
}

const DECISION = /^\{"event":"decision","decision_id":"([^"]+)"(,"outcome":"refused")?/
const OUTCOME = /^\{"event":"outcome","decision_id":"([^"]+)"/
/** Nothing that was open before one of these is open behind it. */
const CLOSED_ALL = /^\{"event":"gateway\.(stopped|recovered)"/
/** No answer takes longer, so no part is older that holds what is open. */
const LONGEST_ANSWER_MS = 24 * 3_600_000

/** What one part says, for itself. */
interface Account {
  /** Let through in this part, and not ended in it. */
  readonly open: Set<string>
  /** Ended in this part, and let through in an earlier one. */
  readonly ended: Set<string>
  last: string
  lines: number
  tornAt: number | undefined
  tornBytes: number
  saidGoodbye: boolean
  closesAll: boolean
}

/** @throws when the file is there and cannot be read or mended. */
export async function recover(file: string): Promise<Recovery> {
  const accounts = await accountsOf(file)
  const newest = accounts.at(-1)
  if (newest?.tornAt !== undefined) truncateSync(file, newest.tornAt)
  const open = new Set<string>()
  for (const account of accounts) {
    for (const id of account.ended) open.delete(id)
    for (const id of account.open) open.add(id)
  }
  const latest = accounts.findLast(({ last }) => last !== '')
  const from = latest ? linkOf(latest.last, latest.lines) : GENESIS
  const head = readHead(file)
  const missing = head ? Math.max(0, head.seq - from.seq) : 0
  const tornBytes = newest?.tornBytes ?? 0
  return {
    // Going on from the head keeps what is missing visible: otherwise a restart would hide it.
    from: head && missing > 0 ? { seq: head.seq, hash: head.hash } : from,
    tornBytes,
    open: [...open],
    missing,
    clean: (latest?.saidGoodbye ?? true) && open.size === 0 && tornBytes === 0 && missing === 0,
  }
}

/**
 * Of the file and as many rotated parts as may hold the decision of a request that was open, oldest first. A
 * device such as /dev/stdout holds no past.
 */
async function accountsOf(file: string): Promise<Account[]> {
  if (existsSync(file) && !statSync(file).isFile()) return []
  const accounts: Account[] = []
  let newest: number | undefined
  for (const part of partsOf(file).reverse()) {
    if (!existsSync(part)) continue
    const { mtimeMs } = statSync(part)
    newest ??= mtimeMs
    if (newest - mtimeMs > LONGEST_ANSWER_MS && accounts.some(({ last }) => last !== '')) break
    const account = await accountOf(part, part === file)
    accounts.unshift(account)
    if (account.closesAll) break
  }
  // A rotation that was cut short leaves no file, and nothing to mend.
  return accounts
}

async function accountOf(part: string, isLast: boolean): Promise<Account> {
  const account: Account = {
    open: new Set(),
    ended: new Set(),
    last: '',
    lines: 0,
    tornAt: undefined,
    tornBytes: 0,
    saidGoodbye: false,
    closesAll: false,
  }
  for await (const batch of linesInBatches(part)) {
    for (const { text, start, whole } of batch) {
      if (whole) take(text, account)
      // A part that was rotated away ends where it ends; what is torn there was tampered with.
      else if (isLast) Object.assign(account, { tornAt: start, tornBytes: text.length })
    }
  }
  return account
}

function take(text: string, account: Account): void {
  if (text === '') return
  account.last = text
  account.lines++
  const decided = DECISION.exec(text)
  const ended = decided ? undefined : OUTCOME.exec(text)
  if (decided && !decided[2]) account.open.add(decided[1] as string)
  // A refusal may follow a decision to let through that another sink could not take.
  const id = decided?.[2] ? decided[1] : ended?.[1]
  if (id !== undefined && !account.open.delete(id) && ended) account.ended.add(id)
  if (text.startsWith(CHECKPOINT_START)) return
  account.saidGoodbye = text.startsWith('{"event":"gateway.stopped"')
  account.closesAll ||= CLOSED_ALL.test(text)
}

/** Of a last line that was tampered with, what it claims; `verify` tells of it all the same. */
function linkOf(line: string, number: number): Link {
  const reading = read(line)
  return reading.ok ? reading.link : { seq: reading.seq ?? number, hash: GENESIS.hash }
}
