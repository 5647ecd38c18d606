/**
 * Simulate: conversations of several turns on a pool of small servers, with the gateway's own pools,
 * balances and queue, in virtual time and without sockets.
 */
import type { BalanceName } from '../../src/contract/config/pools.ts'
import { countFirstByte } from '../../src/upstreams/condition.ts'
import { conversationOf } from '../../src/upstreams/conversation.ts'
import { createPlaces } from '../../src/upstreams/places.ts'
import { createPools, type Pool } from '../../src/upstreams/pools.ts'
import type { TargetState } from '../../src/upstreams/target.ts'
import { type Chance, createChance } from './chance.ts'
import { createClock } from './clock.ts'
import {
  ANSWER_TOKENS_PER_S,
  createModelServer,
  type ModelServer,
  PROMPT_TOKENS_PER_S,
  type Prompt,
} from './model-server.ts'

export interface Scene {
  /** Slots of each target. */
  readonly slots: readonly number[]
  readonly balance: BalanceName
  /** 1: all slots are just busy if no cache ever helps. */
  readonly load: number
  readonly requests: number
  readonly seed: number
}

export interface Outcome {
  readonly p50Ms: number
  readonly p99Ms: number
  /** Of the tokens of prompts that were not new to the conversation, so many were found in a cache. */
  readonly hitRate: number
  /** Of the requests, so many were refused by the queue. */
  readonly refused: number
}

const APPS = 4
const INSTRUCTION_TOKENS = 250
const QUESTION_TOKENS = [20, 180] as const
const ANSWER_TOKENS = [30, 170] as const
const TURNS = [1, 9] as const
const THINKING_MS = 8000

export async function simulate(scene: Scene): Promise<Outcome> {
  const { balance, load, requests } = scene
  const chance = createChance(scene.seed)
  const clock = createClock()
  const servers = new Map<TargetState, ModelServer>()
  const pools = createPools({
    now: clock.now,
    random: chance.next,
    queued: name => places.queued(name),
    readTls: () => ({ ca: undefined, cert: undefined, key: undefined, serverName: undefined }),
  })
  const places = createPlaces({ pools, deadlines: clock.deadlines, now: clock.now })
  pools.configure({ chat: poolConfig(scene) })
  const pool = pools.named('chat') as Pool
  pool.targets.forEach(({ state }, index) => {
    servers.set(state, createModelServer(scene.slots[index] ?? 1))
  })

  const firstTokens: number[] = []
  let [old, found, refused, arrived] = [0, 0, 0, 0]

  async function turn(talk: Talk): Promise<void> {
    arrived++
    const came = clock.now()
    talk.tokens += chance.between(QUESTION_TOKENS)
    const prompt: Prompt = {
      conversation: talk.id,
      app: talk.app,
      instructionTokens: INSTRUCTION_TOKENS,
      tokens: talk.tokens,
    }
    const place = await places
      .take(pool, {
        tried: new Set(),
        model: 'tiny',
        key: balance === 'prefix' ? talk.key : undefined,
        principal: `app-${talk.app}`,
        priority: 0,
        totalBy: came + 900_000,
        left: { aborted: false, onAbort: undefined },
      })
      .catch(() => undefined)
    if (!place) {
      refused++
      return
    }
    const answerTokens = chance.between(ANSWER_TOKENS)
    const { state } = place.target
    const work = (servers.get(state) as ModelServer).begin(prompt, answerTokens)
    firstTokens.push(clock.now() - came + work.firstTokenMs)
    old += talk.said
    found += Math.min(work.cachedTokens, talk.said)
    clock.after(work.firstTokenMs, () => countFirstByte(state, work.firstTokenMs, clock.now()))
    clock.after(work.totalMs, () => {
      place.leave()
      talk.tokens += answerTokens
      talk.said = talk.tokens
      if (--talk.turnsLeft > 0) clock.after(chance.exponential(THINKING_MS), () => void turn(talk))
    })
  }

  const totalSlots = scene.slots.reduce((sum, slots) => sum + slots, 0)
  const betweenMs = conversationMs() / (totalSlots * load)
  let talks = 0
  function begin(): void {
    if (arrived >= requests) return
    void turn(newTalk(talks++, chance))
    clock.after(chance.exponential(betweenMs), begin)
  }
  begin()
  await clock.run()
  const sorted = firstTokens.toSorted((one, other) => one - other)
  const at = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN
  return { p50Ms: at(0.5), p99Ms: at(0.99), hitRate: found / old, refused: refused / arrived }
}

interface Talk {
  readonly id: number
  readonly app: number
  readonly key: number | undefined
  turnsLeft: number
  /** All that was asked and answered so far, instructions included. */
  tokens: number
  /** Of these, what a server has seen before. */
  said: number
}

function newTalk(id: number, chance: Chance): Talk {
  const app = Math.floor(chance.next() * APPS)
  const messages = [
    { role: 'system', content: `You are the assistant of app ${app}.` },
    { role: 'user', content: `Question ${id}` },
  ]
  return {
    id,
    app,
    key: conversationOf({ messages }, 'tiny', 4096),
    turnsLeft: chance.between(TURNS),
    tokens: INSTRUCTION_TOKENS,
    said: 0,
  }
}

const mean = ([from, to]: readonly [number, number]): number => (from + to) / 2

/** How long one slot is busy with a conversation, on average, if no cache helps. */
function conversationMs(): number {
  const growth = mean(QUESTION_TOKENS) + mean(ANSWER_TOKENS)
  let total = 0
  for (let turns = TURNS[0]; turns <= TURNS[1]; turns++) {
    for (let turn = 0; turn < turns; turn++) {
      const promptTokens = INSTRUCTION_TOKENS + turn * growth + mean(QUESTION_TOKENS)
      total += (promptTokens / PROMPT_TOKENS_PER_S + mean(ANSWER_TOKENS) / ANSWER_TOKENS_PER_S) * 1000
    }
  }
  return total / (TURNS[1] - TURNS[0] + 1)
}

function poolConfig({ slots, balance }: Scene) {
  return {
    models: ['tiny'],
    targets: slots.map((each, index) => ({
      url: `http://10.0.${index >> 8}.${index & 255}:8080`,
      kind: 'openai' as const,
      weight: balance === 'weighted' || balance === 'prefix' ? each : 1,
      slots: each,
      headers: {},
    })),
    balance,
    prefix: { characters: 4096 },
    forwardHeaders: [],
    upstreamErrors: 'replace' as const,
    health: false as const,
    timeouts: { connect: '2s', firstByte: '120s', idle: '60s', total: '15m' },
    retry: { attempts: 2, budget: 0.2 },
    breaker: { failures: 5, openFor: '10s' },
    queue: { max: 100, timeout: '30s' },
    answer: {},
  }
}
