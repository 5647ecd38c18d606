/**
 * Session: asks the admin listener, with the token where one is wanted.
 *
 * The token is kept for this tab alone, and sent as a header: never in an address, never as a cookie, so
 * that no other site can use it.
 */
const KEPT_AS = 'sallyport-admin-token'
const LONGEST_WAIT_MS = 15_000

export class NotLetIn extends Error {
  /** @param token - What was asked with. */
  constructor(readonly token: string | null) {
    super()
  }
}

export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message)
  }
}

export function keepToken(token: string): void {
  sessionStorage.setItem(KEPT_AS, token)
}

export function forgetToken(): void {
  sessionStorage.removeItem(KEPT_AS)
}

/** Whether it is the token in use that was refused, and not, late, one that was used before it. */
export function isRefusedNow(error: unknown): boolean {
  return error instanceof NotLetIn && error.token === token()
}

function token(): string | null {
  return sessionStorage.getItem(KEPT_AS)
}

/** @throws NotLetIn */
async function asked(
  path: string,
  headers: Record<string, string>,
  more: RequestInit = {},
): Promise<Response> {
  const used = token()
  const credential = used ? { authorization: `Bearer ${used}` } : {}
  const response = await fetch(path, { ...more, headers: { ...headers, ...credential } })
  if (response.status !== 401) return response
  void response.body?.cancel()
  throw new NotLetIn(used)
}

/** @throws NotLetIn @throws Refused */
export async function get<T>(path: string): Promise<T> {
  return answerOf<T>(await asked(path, { accept: 'application/json' }, { cache: 'no-store' }))
}

/** Changes something. @throws NotLetIn @throws Refused */
export async function post<T>(path: string, body: object = {}): Promise<T> {
  const change = { method: 'POST', body: JSON.stringify(body) }
  return answerOf<T>(await asked(path, { 'content-type': 'application/json' }, change))
}

async function answerOf<T>(response: Response): Promise<T> {
  const body = (await response.json().catch(() => ({}))) as { error?: { message?: string } }
  if (!response.ok) throw new Refused(response.status, body.error?.message ?? `answered ${response.status}`)
  return body as T
}

export interface StreamEvent {
  readonly event: string
  readonly id: string
  readonly data: string
}

export interface Listener {
  onEvent(event: StreamEvent): void
  onState(live: boolean): void
  onRefused(error: unknown): void
}

/**
 * Follows server-sent events, and comes back by itself where it was. `EventSource` would do the same, but
 * cannot bring a header.
 *
 * @returns what ends it.
 */
export function follow(path: string, { onEvent, onState, onRefused }: Listener): () => void {
  const left = new AbortController()
  let lastId = ''

  async function once(): Promise<void> {
    const accept = { accept: 'text/event-stream', ...(lastId ? { 'last-event-id': lastId } : {}) }
    const response = await asked(path, accept, { signal: left.signal, cache: 'no-store' })
    if (!response.ok || !response.body) throw new Refused(response.status, `answered ${response.status}`)
    onState(true)
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    for (;;) {
      const { value, done } = await reader.read()
      if (done) return
      text += value
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const event = eventIn(text.slice(0, end))
        text = text.slice(end + 2)
        if (event.id) lastId = event.id
        if (event.data) onEvent(event)
      }
    }
  }

  async function always(): Promise<void> {
    let wait = 500
    while (!left.signal.aborted) {
      try {
        await once()
        wait = 500
      } catch (error) {
        if (left.signal.aborted) return
        if (error instanceof NotLetIn || (error instanceof Refused && error.status === 400))
          return onRefused(error)
        wait = Math.min(wait * 2, LONGEST_WAIT_MS)
      }
      onState(false)
      await new Promise(resolve => setTimeout(resolve, wait))
    }
  }

  void always()
  return () => left.abort()
}

function eventIn(block: string): StreamEvent {
  const fields: Record<string, string> = {}
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':')
    if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 1).trimStart()
  }
  return { event: fields.event ?? 'message', id: fields.id ?? '', data: fields.data ?? '' }
}
