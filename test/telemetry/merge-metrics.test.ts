import { describe, expect, it } from 'vitest'
import { countedIn, familiesText, mergeFamilies, readFamilies } from '../../src/telemetry/merge-metrics.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'

const metricsOf = (inFlight: number, up: boolean) =>
  createMetrics({
    models: () => ['tiny'],
    targets: () => [{ pool: 'chat', target: 'http://a', up, inFlight, slots: 4, breakerOpen: !up }],
    queues: () => [{ pool: 'chat', depth: 1 }],
    grants: () => 3,
    limitsUsed: () => new Map([['requests', 0.5]]),
  })

const valueIn = (text: string, series: string): number =>
  Number(
    text
      .split('\n')
      .find(line => line.startsWith(`${series} `))
      ?.slice(series.length + 1),
  )

async function merged() {
  const [one, other] = [metricsOf(1, true), metricsOf(2, false)]
  for (const metrics of [one, one, other]) {
    metrics.request({
      principal: 'a "b"\\c\nd',
      pool: 'chat',
      model: 'tiny',
      outcome: 'completed',
      code: 'ok',
      seconds: 0.003,
    })
  }
  one.store('redis', true)
  other.store('redis', false)
  const families = [readFamilies(await one.text()), readFamilies(await other.text())]
  return { families, text: familiesText(mergeFamilies(families)) }
}

describe('metrics of several processes', () => {
  it('add up what is counted, in every bucket', async () => {
    const { text } = await merged()
    const labels = 'pool="chat",model="tiny",outcome="completed",code="ok"'
    expect(valueIn(text, `sallyport_requests_total{${labels}}`)).toBe(3)
    expect(
      valueIn(text, 'sallyport_principal_requests_total{principal="a \\"b\\"\\\\c\\nd",outcome="completed"}'),
    ).toBe(3)
    const duration = 'sallyport_request_duration_seconds'
    expect(valueIn(text, `${duration}_bucket{le="0.002",outcome="completed"}`)).toBe(0)
    expect(valueIn(text, `${duration}_bucket{le="0.005",outcome="completed"}`)).toBe(3)
    expect(valueIn(text, `${duration}_count{outcome="completed"}`)).toBe(3)
    expect(valueIn(text, `${duration}_sum{outcome="completed"}`)).toBeCloseTo(0.009)
  })

  it('say of what is measured what is true of all', async () => {
    const { text } = await merged()
    const target = '{pool="chat",target="http://a"}'
    expect(valueIn(text, `sallyport_target_in_flight${target}`)).toBe(3)
    expect(valueIn(text, `sallyport_target_up${target}`)).toBe(1)
    expect(valueIn(text, `sallyport_target_slots${target}`)).toBe(4)
    expect(valueIn(text, `sallyport_target_breaker_open${target}`)).toBe(1)
    expect(valueIn(text, 'sallyport_queue_depth{pool="chat"}')).toBe(2)
    expect(valueIn(text, 'sallyport_grants_active')).toBe(3)
    expect(valueIn(text, 'sallyport_limit_used_ratio{name="requests"}')).toBe(0.5)
    expect(valueIn(text, 'sallyport_store_up{engine="redis"}')).toBe(0)
    expect(
      valueIn(
        text,
        `nodejs_version_info{version="${process.version}",major="${process.versions.node.split('.')[0]}",minor="${process.versions.node.split('.')[1]}",patch="${process.versions.node.split('.')[2]}"}`,
      ),
    ).toBe(1)
  })

  it('have each family once, as they were told', async () => {
    const { families, text } = await merged()
    const heads = text.split('\n').filter(line => line.startsWith('# TYPE '))
    expect(new Set(heads).size).toBe(heads.length)
    expect(heads).toHaveLength(families[0]?.size ?? 0)
    expect(familiesText(readFamilies(text))).toBe(text)
  })

  it('keep what was counted by who is gone, and nothing else of it', async () => {
    const { families } = await merged()
    const left = countedIn(families[0] ?? new Map())
    expect([...left.values()].map(({ type }) => type)).not.toContain('gauge')
    const text = familiesText(mergeFamilies([families[1] ?? new Map(), left]))
    expect(valueIn(text, 'sallyport_request_duration_seconds_count{outcome="completed"}')).toBe(3)
    expect(valueIn(text, 'sallyport_queue_depth{pool="chat"}')).toBe(1)
  })
})
