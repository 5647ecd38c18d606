/**
 * How tokens are had: as a service with a secret, and as a person with a browser.
 */
import { createHash, randomBytes } from 'node:crypto'
import { CLIENTS, JWT_RESOURCE } from './provider.ts'

/** RFC 6749 §4.4. */
export async function serviceToken(issuer: string, resource = JWT_RESOURCE): Promise<string> {
  const { id, secret } = CLIENTS.service
  const answer = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'chat', resource }),
  })
  return tokenIn(answer)
}

/** RFC 6749 §4.1 with RFC 7636, the browser played by `fetch` and a few cookies. */
export async function personToken(issuer: string, person: string, resource = JWT_RESOURCE): Promise<string> {
  const verifier = randomBytes(32).toString('base64url')
  const asked = new URLSearchParams({
    client_id: CLIENTS.app.id,
    response_type: 'code',
    redirect_uri: CLIENTS.app.redirectUri,
    scope: 'openid chat',
    resource,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  })
  const code = await logIn(`${issuer}/auth?${asked}`, person)
  const answer = await fetch(`${issuer}/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      client_id: CLIENTS.app.id,
      redirect_uri: CLIENTS.app.redirectUri,
      code_verifier: verifier,
      code,
      resource,
    }),
  })
  return tokenIn(answer)
}

async function logIn(start: string, person: string): Promise<string> {
  const cookies = new Map<string, string>()
  const visit = async (url: string, form?: Record<string, string>): Promise<Response> => {
    const answer = await fetch(url, {
      redirect: 'manual',
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(form ? { method: 'POST', body: new URLSearchParams(form) } : {}),
    })
    for (const cookie of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? []
      cookies.set(name, value)
    }
    await answer.arrayBuffer()
    return answer
  }
  let url = start
  for (let step = 0; step < 10; step++) {
    if (url.startsWith(CLIENTS.app.redirectUri)) return new URL(url).searchParams.get('code') ?? ''
    const asks = new URL(url).pathname.startsWith('/interaction/')
    const prompt = step < 3 ? { prompt: 'login', login: person, password: 'any' } : { prompt: 'consent' }
    const answer = await visit(url, asks ? prompt : undefined)
    const next = answer.headers.get('location')
    if (next === null) throw new Error(`no way on from ${url}: status ${answer.status}`)
    url = new URL(next, url).href
  }
  throw new Error('the provider goes round in circles')
}

async function tokenIn(answer: Response): Promise<string> {
  const { access_token, ...rest } = (await answer.json()) as { access_token?: string }
  if (access_token === undefined) throw new Error(`no token: ${JSON.stringify(rest)}`)
  return access_token
}
