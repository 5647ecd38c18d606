/**
 * A target: one upstream server, as the config has it, and how it is doing.
 *
 * How it is doing is kept by its URL and not by the config, so in-flight counts, health and
 * ejections survive a reload. Instants are milliseconds on a clock that does not go back.
 */
import type { TargetConfig, TargetKind } from '../contract/config/pools.ts'

export interface Target {
  /** Without credentials. */
  readonly url: URL
  readonly kind: TargetKind
  readonly weight: number
  /** As configured; undefined where the server may tell, or nobody. */
  readonly slots: number | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly tls: TargetTls | undefined
  readonly state: TargetState
}

/** PEM, but for the name. */
export interface TargetTls {
  readonly ca: string | undefined
  readonly cert: string | undefined
  readonly key: string | undefined
  readonly serverName: string | undefined
}

/** Belongs to a URL and outlives every config. */
export interface TargetState {
  /** As configured, without credentials and without a trailing slash: fit to be shown. */
  readonly url: string
  inFlight: number
  /** Where its slots are dealt out among several, how many are here; Infinity where all are. */
  allowance: number
  /** Requests that it works on for other workers, as they told last. */
  elsewhere: number
  /** Failures of any kind, one after the other. */
  failures: number
  /** How often it was ejected since it last answered: each spell is longer. */
  ejections: number
  /** Passed over until then. */
  ejectedUntil: number
  /** It asked for rest itself, with `Retry-After`, until then. */
  restsUntil: number
  /** The breaker lets nothing through until then, and one request after; 0 when it is closed. */
  openUntil: number
  /** That one request is on its way. */
  onTrial: boolean
  /** It was the connection that failed last, so one that stands is news. */
  unreachable: boolean
  /** What active checks say. */
  sound: boolean
  /** Whether any check was made. */
  checked: boolean
  /** Checks in a row that say the opposite of `sound`. */
  contradictions: number
  /** When it came back after it was gone: its share grows from then. */
  returnedAt: number
  /** Moving average, ms; undefined before the first answer. */
  firstByteMs: number | undefined
  /** When the last answer was counted into it. */
  firstByteAt: number
  reading: Reading | undefined
}

/** What a server last told of itself. */
export interface Reading {
  /** From then on it is too old to be believed. */
  readonly staleAt: number
  /** Requests that it works on or holds back and that did not come from here. */
  readonly foreign: number
  /** How many it can work on at a time, where it says so. */
  readonly slots: number | undefined
  /** Models that are in its memory; undefined where what it serves is always there. */
  readonly loaded: ReadonlySet<string> | undefined
  /** Models that it could load; undefined where it does not say. */
  readonly known: ReadonlySet<string> | undefined
  /** Share of its KV cache that is taken, 0 to 1. */
  readonly cacheUse: number | undefined
}

export function newState(url: string): TargetState {
  return {
    url,
    inFlight: 0,
    allowance: Number.POSITIVE_INFINITY,
    elsewhere: 0,
    failures: 0,
    ejections: 0,
    ejectedUntil: 0,
    restsUntil: 0,
    openUntil: 0,
    onTrial: false,
    unreachable: false,
    sound: true,
    checked: false,
    contradictions: 0,
    returnedAt: Number.NEGATIVE_INFINITY,
    firstByteMs: undefined,
    firstByteAt: 0,
    reading: undefined,
  }
}

/** What a target is known by, and shown as: a credential in a URL is neither. */
export function shownUrl(text: string): string {
  return text.replace(/^(https?:\/\/)[^/@]*@/i, '$1').replace(/\/+$/, '')
}

export function builtTarget(config: TargetConfig, state: TargetState, tls: TargetTls | undefined): Target {
  const url = new URL(config.url)
  const basic = url.username || url.password ? basicCredential(url) : {}
  url.username = ''
  url.password = ''
  const bearer = config.apiKey === undefined ? {} : { authorization: `Bearer ${config.apiKey}` }
  const own = Object.fromEntries(
    Object.entries(config.headers).map(([name, value]) => [name.toLowerCase(), value]),
  )
  return {
    url,
    kind: config.kind === 'llamacpp' ? 'llama.cpp' : config.kind,
    weight: config.weight,
    slots: config.slots,
    headers: { ...basic, ...bearer, ...own },
    tls,
    state,
  }
}

function basicCredential({ username, password }: URL): { authorization: string } {
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` }
}

/** How many requests it works on or holds back, as far as is known. */
export function loadOf({ state }: Target, now: number): number {
  return state.inFlight + (freshReading(state, now)?.foreign ?? 0)
}

export function slotsOf(target: Target, now: number): number {
  return target.slots ?? freshReading(target.state, now)?.slots ?? Number.POSITIVE_INFINITY
}

export function hasSlot(target: Target, now: number): boolean {
  const { slots, state } = target
  return (
    loadOf(target, now) < slotsOf(target, now) && (slots === undefined || state.inFlight < state.allowance)
  )
}

export function freshReading({ reading }: TargetState, now: number): Reading | undefined {
  return reading && now < reading.staleAt ? reading : undefined
}
