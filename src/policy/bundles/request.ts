/**
 * One request for a bundle. The file of this room that opens sockets.
 */
import { isSafeUrl } from '../../contract/addresses.ts'

export interface BundleRequest {
  readonly headers: Readonly<Record<string, string>>
  readonly signal: AbortSignal
}

export interface BundleResponse {
  readonly status: number
  readonly etag: string | undefined
  /** Of a 200. */
  readonly archive: Uint8Array | undefined
}

/** The server did not give what was asked. `code` is `bundle_unavailable`; no credential is in the message. */
export class BundleUnavailable extends Error {
  override readonly name = 'BundleUnavailable'
  readonly code = 'bundle_unavailable'
}

const MOST_BYTES = 256 * 1024 * 1024
const MOST_REDIRECTS = 5
const REDIRECTS = new Set([301, 302, 303, 307, 308])

/** @returns the URL as it may be shown: without a user and a password. */
export function shownUrl(text: string): string {
  const url = new URL(text)
  url.username = url.password = ''
  return url.href
}

/** @param text - The URL; a user and a password in it are sent as Basic credentials. @throws BundleUnavailable */
export async function requestBundle(text: string, request: BundleRequest): Promise<BundleResponse> {
  const first = new URL(text)
  let url = first
  for (let hops = 0; hops <= MOST_REDIRECTS; hops++) {
    const response = await send(url, first, request)
    const location = response.headers.get('location')
    if (!REDIRECTS.has(response.status) || location === null) return answerOf(response)
    await response.body?.cancel()
    url = new URL(location, url)
  }
  throw new BundleUnavailable('redirected too often')
}

async function send(url: URL, first: URL, { headers, signal }: BundleRequest): Promise<Response> {
  if (!isSafeUrl(url)) throw new BundleUnavailable(`plain http is for loopback only: ${url.origin}`)
  const bare = new URL(url)
  bare.username = bare.password = ''
  try {
    return await fetch(bare, {
      // As it lies there: a tar that the transport unpacked would be no bundle.
      headers: { 'accept-encoding': 'identity', ...headers, ...credentials(url, first) },
      redirect: 'manual',
      signal,
    })
  } catch (cause) {
    throw new BundleUnavailable(reasonOf(cause), { cause })
  }
}

/** Nobody but the server they are for sees them. */
function credentials(url: URL, { origin, username, password }: URL): Record<string, string> {
  if (username === '' || url.origin !== origin) return {}
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` }
}

async function answerOf(response: Response): Promise<BundleResponse> {
  const { status, headers } = response
  const etag = headers.get('etag') ?? undefined
  if (status === 200) return { status, etag, archive: await bytesOf(response) }
  await response.body?.cancel()
  return { status, etag, archive: undefined }
}

async function bytesOf(response: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      size += chunk.length
      if (size > MOST_BYTES) throw new BundleUnavailable(`the bundle is larger than ${MOST_BYTES} bytes`)
      chunks.push(chunk)
    }
  } catch (cause) {
    if (cause instanceof BundleUnavailable) throw cause
    throw new BundleUnavailable(reasonOf(cause), { cause })
  }
  return Buffer.concat(chunks)
}

/** What `fetch` says is only that it failed; why is in its cause. */
function reasonOf(error: unknown): string {
  const { name, message, cause } = error as Error & { cause?: { code?: string; message?: string } }
  if (name === 'AbortError' || name === 'TimeoutError') return 'no answer in time'
  return cause?.code ?? cause?.message ?? message
}
