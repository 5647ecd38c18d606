import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type PublicRefusal, respondJson, respondRefusal } from '../../src/server/respond.ts'

const REFUSAL: PublicRefusal = {
  status: 403,
  code: 'forbidden',
  message: 'No',
  headers: {},
  retryAfterSeconds: undefined,
}

async function answer(handle: http.RequestListener, init: RequestInit = {}): Promise<Response> {
  const server = http.createServer(handle)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, init)
}
const refused = (members: Partial<PublicRefusal>) =>
  answer((request, response) => respondRefusal(request, response, { ...REFUSAL, ...members }, []))

describe('a refusal', () => {
  it('is an error in the form of OpenAI', async () => {
    const response = await refused({ headers: { 'x-request-id': 'r1' } })
    expect(response.status).toBe(403)
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(response.headers.get('x-request-id')).toBe('r1')
    expect(await response.json()).toEqual({
      error: { message: 'No', type: 'permission_error', code: 'forbidden', param: null },
    })
  })

  it.each([
    [429, undefined, '1'],
    [503, undefined, '1'],
    [403, undefined, null],
    [403, 32_400, '32400'],
    [429, 0.2, '1'],
    [429, 1.2, '2'],
    [429, 0, '1'],
  ])('with %d and %s seconds to wait says Retry-After: %s', async (status, retryAfterSeconds, header) => {
    expect((await refused({ status, retryAfterSeconds })).headers.get('retry-after')).toBe(header)
  })
})

describe('an answer to a request whose body was not read', () => {
  it('reaches a client that is still sending', async () => {
    const response = await answer((request, response) => respondJson(request, response, 413, '{"a":1}'), {
      method: 'POST',
      body: Buffer.alloc(4 * 1024 * 1024, 'x'),
    })
    expect(response.status).toBe(413)
    expect(response.headers.get('connection')).toBe('close')
    expect(await response.json()).toEqual({ a: 1 })
  })
})
