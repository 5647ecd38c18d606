/**
 * Fault: how this server misbehaves when it is told to, so that what stands in front of it can be tested.
 */

const KINDS = ['refuse', 'hang', 'break', '500', 'garbage'] as const

/**
 * `refuse` resets the connection as the request arrives, `hang` never answers, `break` dies in the middle of
 * the answer, `500` fails in words, `garbage` answers 200 with what no client can read.
 */
export type FaultKind = (typeof KINDS)[number]

export interface Fault {
  readonly kind: FaultKind
  /** Only every Nth request fails; 1 is each of them. */
  readonly every: number
  /** Whether `/health` fails with it; else the server says that it is well. */
  readonly health: boolean
}

/** Reads `KIND` or `KIND:N`. */
export function parseFault(text: string, health = false): Fault {
  const [name, every, ...more] = text.split(':')
  const kind = KINDS.find(known => known === name)
  if (!kind || more.length > 0 || (every !== undefined && !/^[1-9]\d{0,8}$/.test(every))) {
    throw new RangeError(`"${text}" is no fault: expected ${KINDS.join(', ')}, or one of them and :N`)
  }
  return { kind, every: Number(every ?? 1), health }
}
