import { afterEach, describe, expect, it } from 'vitest'
import { readConfig } from '../../src/config/load.ts'
import { ACCESS_POLICY, ask, call, PEOPLE } from '../support/access.ts'
import { type RunningGateway, startGateway, stopAll } from '../support/gateway.ts'
import { createGatekeeper, type Received, type Receiver, startReceiver } from '../support/receiver.ts'

const SECRET = 'a secret of the receiver'
const PATIENT = { timeout: 15_000 }

describe('announcements', () => {
  const receivers: Receiver[] = []
  afterEach(async () => {
    await stopAll()
    for (const receiver of receivers.splice(0)) await receiver.close()
  })

  const receiver = async (): Promise<Receiver> => {
    const started = await startReceiver()
    receivers.push(started)
    return started
  }
  const start = (...webhooks: object[]): Promise<RunningGateway> =>
    startGateway({ policy: ACCESS_POLICY, keys: PEOPLE, config: { access: { webhooks } } })

  it('tell a receiver what happened, signed so that a replay or a forgery is found out', async () => {
    const hook = await receiver()
    const gateway = await start({ url: hook.url, secret: SECRET })
    const { body } = await ask(gateway, 'ona', { emergency: true, ticket: 'OPS-1' })
    await expect.poll(() => hook.received.length, PATIENT).toBe(2)
    const [requested, approved] = [...hook.received].sort((one, other) =>
      one.body.type < other.body.type ? 1 : -1,
    )
    expect([requested?.body.type, approved?.body]).toMatchObject([
      'access.requested',
      {
        type: 'access.approved',
        data: {
          access_request: body.id,
          grant: body.grant.id,
          principal: { id: 'ona' },
          models: ['tiny'],
          reason: 'incident 4512',
          ticket: 'OPS-1',
          emergency: true,
          by: 'policy',
        },
      },
    ])
    const message = approved as NonNullable<typeof approved>
    const now = Math.floor(Date.now() / 1000)
    const judge = createGatekeeper(SECRET)
    expect(judge(message, now)).toBe('taken')
    // Somebody who saw it sends it again: as it was, later, with a new time, under a new id, changed.
    expect(judge(message, now)).toBe('seen')
    expect(judge(message, now + 3600)).toBe('old')
    expect(judge({ ...message, seconds: now + 3600 }, now + 3600)).toBe('forged')
    expect(judge({ ...message, id: 'msg_other' }, now)).toBe('forged')
    expect(judge({ ...message, text: message.text.replace('tiny', 'large') }, now)).toBe('forged')
  })

  it('come again under the same id until they are taken', async () => {
    const hook = await receiver()
    hook.answer(500)
    const gateway = await start({ url: hook.url, secret: SECRET, events: ['access.approved'] })
    await ask(gateway, 'ona')
    await expect.poll(() => hook.received.length, PATIENT).toBeGreaterThanOrEqual(2)
    hook.answer(204)
    const before = hook.received.length
    await expect.poll(() => hook.received.length, PATIENT).toBe(before + 1)
    expect(new Set(hook.received.map(({ id }) => id)).size).toBe(1)
    const judge = createGatekeeper(SECRET)
    expect(hook.received.map(message => judge(message, message.seconds))[0]).toBe('taken')
  })

  it('come after all when the gateway that was to send them is killed', async () => {
    const hook = await receiver()
    hook.answer(500)
    const options = {
      policy: ACCESS_POLICY,
      keys: PEOPLE,
      config: {
        store: { engine: 'sqlite', path: 'store.db' },
        access: { webhooks: [{ url: hook.url, secret: SECRET, events: ['access.approved'] }] },
      },
    }
    const gateway = await startGateway(options)
    const { body } = await ask(gateway, 'ona')
    await expect.poll(() => hook.received.length, PATIENT).toBeGreaterThan(0)
    await gateway.stop('SIGKILL')
    hook.answer(204)
    const before = hook.received.length
    await startGateway({ ...options, folder: gateway.folder })
    await expect.poll(() => hook.received.length, { timeout: 25_000 }).toBe(before + 1)
    expect(new Set(hook.received.map(({ id }) => id)).size).toBe(1)
    expect(hook.received.at(-1)?.body.data.grant).toBe(body.grant.id)
  })

  it('keep nobody waiting for a receiver that is dead or says nothing', async () => {
    const silent = await receiver()
    silent.answer('hang')
    const gateway = await start(
      { url: 'http://127.0.0.1:9/', secret: SECRET },
      { url: silent.url, secret: SECRET },
    )
    const { status, body } = await ask(gateway, 'ona')
    expect([status, body.state]).toEqual([201, 'approved'])
    await expect.poll(() => silent.received.length, PATIENT).toBeGreaterThan(0)
    expect((await call(gateway, 'ona', `DELETE /-/access/grants/${body.grant.id}`)).status).toBe(200)
    expect(await gateway.stop()).toBe(0)
  })

  it('are written for Slack and Teams so that a reason is nothing but words', async () => {
    const [slack, teams] = [await receiver(), await receiver()]
    const gateway = await start(
      { url: slack.url, format: 'slack', events: ['access.requested'] },
      { url: teams.url, format: 'teams', events: ['access.requested'] },
    )
    await ask(gateway, 'dev', { reason: '<!channel> [look](http://x)', ticket: 'OPS-1' })
    await expect.poll(() => slack.received.length + teams.received.length, PATIENT).toBe(2)
    const text = slack.received[0]?.body.text
    expect(text).toMatch(/^dev asks for tiny for 1h \(OPS-1; &lt;!channel&gt; \[look\]\(http:\/\/x\); r_/)
    const [{ contentType, content }] = (teams.received[0] as Received).body.attachments
    expect(contentType).toBe('application/vnd.microsoft.card.adaptive')
    expect(content.body[0].text).toContain('\\[look\\]\\(http://x\\)')
  })

  it.each([
    ['plain http to another machine', { url: 'http://192.0.2.1/', secret: SECRET }, 'insecure_url'],
    ['no secret', { url: 'https://example.com/' }, 'webhook_without_secret'],
    ['a secret that could be guessed', { url: 'https://example.com/', secret: 'x' }, 'config_invalid'],
    ['no URL', { url: 'example.com', secret: SECRET }, 'config_invalid'],
    ['an unknown event', { url: 'https://example.com/', secret: SECRET, events: ['x'] }, 'config_invalid'],
  ])('are not configured with %s', (_what, webhook, code) => {
    const text = JSON.stringify({
      pools: { chat: { models: ['tiny'], targets: [{ url: 'http://127.0.0.1:9' }] } },
      access: { webhooks: [webhook] },
    })
    const { findings } = readConfig(text, 'x.json', '/', { env: {}, readFile: () => '' })
    expect(findings.map(finding => finding.code)).toEqual([code])
  })
})
