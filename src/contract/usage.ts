/**
 * The usage ledger: what was used of which model, by whom, on which day.
 */

/** One row; of two with the same first four members the sums count. */
export interface UsageRow {
  /** `2026-01-31`, in UTC. */
  readonly day: string
  readonly principal: string
  readonly team: string | null
  /** Null: the request named none. */
  readonly model: string | null
  readonly requests: number
  readonly input_tokens: number
  readonly output_tokens: number
  readonly cost: number
}

export interface UsageBook {
  /** Adds rows: once each, as soon as the store takes them. */
  add(rows: readonly UsageRow[]): void
  /** All rows from a day on. @throws StoreUnavailable */
  since(day: string): Promise<UsageRow[]>
}
