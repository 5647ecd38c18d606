import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { askProvider } from '../../src/identity/provider.ts'

describe('asking a provider', () => {
  let server: Server
  let url: string
  let received = ''
  beforeAll(async () => {
    server = createServer((request, response) => {
      if (request.url === '/redirect') response.writeHead(302, { location: '/good' }).end()
      else if (request.url === '/500') response.writeHead(500).end('secret internals')
      else if (request.url === '/large') response.end('x'.repeat(2 * 1024 * 1024))
      else if (request.url === '/never') response.writeHead(200).write('{')
      else {
        received = ''
        request.on('data', part => (received += part))
        request.on('end', () => response.end(`{"method": "${request.method}"}`))
      }
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterAll(() => {
    server.close()
    server.closeAllConnections()
  })
  const ask = (path: string, own: object = {}) =>
    askProvider({ url: `${url}${path}`, timeoutMs: 10_000, ...own })

  it('gives the body of an answer, and sends a form as one', async () => {
    expect(await ask('/good')).toBe('{"method": "GET"}')
    expect(await ask('/good', { form: { token: 'a+b c' } })).toBe('{"method": "POST"}')
    expect(received).toBe('token=a%2Bb+c')
  })

  it.each(['/redirect', '/500', '/large'])('fails for %s', async path => {
    await expect(ask(path, { form: { token: 't0ken' } })).rejects.toThrow(url)
    await expect(ask(path, { form: { token: 't0ken' } })).rejects.not.toThrow(/t0ken|internals/)
  })

  it('fails when the answer does not come to an end', async () => {
    await expect(ask('/never', { timeoutMs: 50 })).rejects.toThrow(url)
  })

  it('fails when nobody is there', async () => {
    const gone = createServer()
    await new Promise<void>(resolve => gone.listen(0, '127.0.0.1', resolve))
    const { port } = gone.address() as AddressInfo
    await new Promise(resolve => gone.close(resolve))
    await expect(askProvider({ url: `http://127.0.0.1:${port}/`, timeoutMs: 1000 })).rejects.toThrow(
      'ECONNREFUSED',
    )
  })
})
