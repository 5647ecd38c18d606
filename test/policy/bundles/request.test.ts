import http, { type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { requestBundle, shownUrl } from '../../../src/policy/bundles/request.ts'
import { rejectionOf } from '../../support/thrown.ts'

/** @returns its origin. */
async function serverOf(handle: RequestListener): Promise<string> {
  const server = http.createServer(handle)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
const ask = (url: string, signal = new AbortController().signal) =>
  requestBundle(url, { headers: { prefer: 'modes=snapshot' }, signal })

describe('a request for a bundle', () => {
  it('sends its headers and gives the bytes and the ETag', async () => {
    const origin = await serverOf(({ headers }, response) => {
      response.setHeader('etag', '"e"')
      response.end(`${headers.prefer} ${headers['accept-encoding']} ${headers.authorization}`)
    })
    const { status, etag, archive } = await ask(`${origin}/b.tar.gz`)
    expect([status, etag]).toEqual([200, '"e"'])
    expect(Buffer.from(archive as Uint8Array).toString()).toBe('modes=snapshot identity undefined')
  })

  it.each([304, 404, 500])('gives a %d without bytes', async status => {
    const origin = await serverOf((_request, response) => void response.writeHead(status).end())
    expect(await ask(origin)).toEqual({ status, etag: undefined, archive: undefined })
  })

  it('sends a user and password as Basic credentials, and to that server alone', async () => {
    const seen: (string | undefined)[] = []
    const other = await serverOf(({ headers }, response) => {
      seen.push(headers.authorization)
      response.end('bundle')
    })
    const origin = await serverOf(({ headers }, response) => {
      seen.push(headers.authorization)
      response.writeHead(302, { location: other }).end()
    })
    const url = origin.replace('http://', 'http://reader:p%40ss@')
    expect((await ask(url)).status).toBe(200)
    expect(seen).toEqual([`Basic ${Buffer.from('reader:p@ss').toString('base64')}`, undefined])
    expect(shownUrl(url)).toBe(`${origin}/`)
  })

  it('follows a redirect, and not for ever', async () => {
    const origin = await serverOf(({ url }, response) =>
      url === '/there' ? void response.end('x') : void response.writeHead(307, { location: url }).end(),
    )
    expect((await ask(`${origin}/there`)).status).toBe(200)
    expect((await rejectionOf(ask(`${origin}/again`))).code).toBe('bundle_unavailable')
  })

  // A server, or who stands between, must not lead it where anybody could answer.
  it.each(['http://policies.example/b.tar.gz', 'file:///etc/passwd', 'data:text/plain,x'])(
    'does not follow to %s',
    async location => {
      const origin = await serverOf((_request, response) => void response.writeHead(302, { location }).end())
      expect((await rejectionOf(ask(origin))).code).toBe('bundle_unavailable')
    },
  )

  it('says in a word why it failed, without a password', async () => {
    const origin = await serverOf((_request, response) => void response.socket?.destroy())
    const error = await rejectionOf(ask(origin.replace('http://', 'http://u:secret@')))
    expect(error.code).toBe('bundle_unavailable')
    expect(String(error)).not.toContain('secret')
    expect((await rejectionOf(ask('http://127.0.0.1:1/'))).code).toBe('bundle_unavailable')
  })

  it('fails when the answer breaks off, or it is given up', async () => {
    const origin = await serverOf((_request, response) => {
      response.writeHead(200, { 'content-length': '100' })
      response.write('half')
      setImmediate(() => response.socket?.destroy())
    })
    expect((await rejectionOf(ask(origin))).code).toBe('bundle_unavailable')
    const silent = await serverOf(() => {})
    expect((await rejectionOf(ask(silent, AbortSignal.timeout(20)))).code).toBe('bundle_unavailable')
  })
})
