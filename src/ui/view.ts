/** A view of the page, and what it is given. */
import type { Decision, Operator, PulseRates, PulseSecond, Status } from './types.ts'

export interface View {
  readonly title: string
  readonly element: HTMLElement
  /** Shows what is known now; called once a second or so, and whenever something changes. */
  update?(state: State): void
  /** It is no longer looked at. */
  leave?(): void
}

/** What the page knows; what it does not know yet is undefined. */
export interface State {
  status?: Status
  operator?: Operator
  checks?: Readonly<Record<string, boolean>>
  seconds: PulseSecond[]
  rates?: PulseRates
  /** The latest first. */
  latest: Decision[]
}

export interface Page {
  readonly state: State
  /** Shows what went wrong with something that was asked for; asks for a token where one is wanted. */
  failed(error: unknown): void
  /** Asks everything again. */
  refresh(): void
}
