import { describe, expect, it } from 'vitest'
import type { TargetKind } from '../../src/contract/config/pools.ts'
import { rankOf, withTag } from '../../src/upstreams/rank.ts'
import { gauges } from '../../src/upstreams/readings/prometheus-text.ts'
import { readTarget } from '../../src/upstreams/readings/read.ts'
import type { Reading } from '../../src/upstreams/target.ts'
import { first, onePool, targetConfig } from '../support/pool.ts'
import { told } from '../support/told.ts'

const read = (kind: TargetKind, server: string) => readTarget(kind, async path => told(server, path))

describe('what servers tell', () => {
  it('llama.cpp: how many slots there are and how many are at work', async () => {
    expect(await read('llama.cpp', 'llama-cpp')).toMatchObject({ busy: 2, slots: 4, loaded: undefined })
  })

  it('llama.cpp of before: slots by their state, requests held back, use of the cache', async () => {
    expect(await read('llama.cpp', 'llama-cpp-old')).toMatchObject({ busy: 4, slots: 2, cacheUse: 0.25 })
  })

  it('llama.cpp without /slots: their number from /props, the work from /metrics', async () => {
    expect(await read('llama.cpp', 'llama-cpp-no-slots')).toMatchObject({ busy: 3, slots: 2 })
  })

  it('Ollama: which models are in memory, and which could be', async () => {
    expect(await read('ollama', 'ollama')).toMatchObject({
      busy: 0,
      loaded: new Set(['qwen2.5:1.5b']),
      known: new Set(['qwen2.5:1.5b', 'gemma3:latest']),
    })
  })

  it('vLLM, either engine: what runs and waits, and how full the cache is', async () => {
    for (const server of ['vllm', 'vllm-v0'])
      expect(await read('vllm', server)).toMatchObject({ busy: 7, cacheUse: 0.4375, slots: undefined })
  })

  it('nothing that can be read, where a server is of another kind than the config says', async () => {
    expect(await read('llama.cpp', 'ollama')).toBeUndefined()
    expect(await read('ollama', 'vllm')).toBeUndefined()
    expect(await read('vllm', 'ollama')).toBeUndefined()
    expect(await read('openai', 'vllm')).toBeUndefined()
  })
})

describe("Prometheus's text", () => {
  it('is read with labels that hold anything, and several series of a name are added up', () => {
    const text = '# HELP a x\na{m="b } c",n="\\"q"} 1.5\na{m="d"} 2\nb 3 1700000000\nbad\nc NaN\nd +Inf\n'
    expect(Object.fromEntries(gauges(text))).toEqual({ a: 3.5, b: 3 })
  })
})

describe('a rank', () => {
  const reading: Reading = {
    staleAt: 2_000_000,
    foreign: 0,
    slots: undefined,
    loaded: new Set(['warm:latest']),
    known: new Set(['warm:latest', 'cold:latest']),
    cacheUse: undefined,
  }

  it('puts a model in memory before one that must be loaded, one that is not there after it, and what is stale last', () => {
    const { pool, clock } = onePool([targetConfig('http://a', { kind: 'ollama' })])
    const target = first(pool)
    target.state.reading = reading
    const ranks = ['warm', 'cold', 'none'].map(model => rankOf(target, model, clock.now))
    expect(ranks).toEqual(ranks.toSorted((a, b) => a - b))
    expect(new Set(ranks).size).toBe(3)
    expect(rankOf(target, 'warm', reading.staleAt)).toBeGreaterThan(Math.max(...ranks))
  })

  it('decides who is asked, whatever each has to do', () => {
    const { pool, next } = onePool(
      ['http://a', 'http://b'].map(url => targetConfig(url, { kind: 'ollama' })),
      { models: ['warm'] },
    )
    const [a, b] = pool.targets
    if (!a || !b) throw new Error('two')
    a.state.reading = { ...reading, loaded: new Set() }
    b.state.reading = { ...reading, loaded: new Set([withTag('tiny')]) }
    b.state.inFlight = 3
    expect(next(pool)).toBe(b)
    expect(next(pool, b)).toBe(a)
  })
})

describe('work that came from elsewhere', () => {
  it('takes slots, as long as the reading is fresh', () => {
    const { pool, next, clock } = onePool([targetConfig('http://a', { kind: 'llama.cpp' })])
    first(pool).state.reading = {
      staleAt: clock.now + 1000,
      foreign: 3,
      slots: 4,
      loaded: undefined,
      known: undefined,
      cacheUse: undefined,
    }
    expect(next(pool)).toBe(first(pool))
    first(pool).state.inFlight = 1
    expect(next(pool)).toBeUndefined()
    clock.now += 1000
    expect(next(pool)).toBe(first(pool))
  })
})
