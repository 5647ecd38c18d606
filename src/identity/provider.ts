/**
 * Identity providers over HTTP: the one file of the room that has sockets.
 */

export interface ProviderRequest {
  readonly url: string
  readonly timeoutMs: number
  /** Sent as a form; without it the request is a GET. */
  readonly form?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
}

/** @returns The body of an answer of status 200. @throws Error for everything else, telling nothing of what was sent. */
export type AskProvider = (request: ProviderRequest) => Promise<string>

const MOST_BYTES = 1024 * 1024

export const askProvider: AskProvider = async request => {
  try {
    return await answerOf(request)
  } catch (error) {
    const { message, cause } = error as Error
    throw new Error(`${request.url}: ${cause instanceof Error ? cause.message : message}`)
  }
}

async function answerOf({ url, timeoutMs, form, headers = {} }: ProviderRequest): Promise<string> {
  const response = await fetch(url, {
    headers: { accept: 'application/json', ...headers },
    // Elsewhere might be anywhere, and plain http too.
    redirect: 'error',
    signal: AbortSignal.timeout(timeoutMs),
    ...(form ? { method: 'POST', body: new URLSearchParams(form) } : {}),
  })
  if (response.status !== 200) {
    await response.body?.cancel()
    throw new Error(`status ${response.status}`)
  }
  const parts: Uint8Array[] = []
  let size = 0
  for await (const part of response.body ?? []) {
    size += part.length
    if (size > MOST_BYTES) throw new Error(`more than ${MOST_BYTES} bytes`)
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}
