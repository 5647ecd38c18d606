/**
 * Amounts: what a request will take of each unit, as far as can be told before, and what it took.
 */
import { GatewayError } from '../contract/errors.ts'
import type { Amounts, Claim } from './ledger.ts'
import type { Usage } from './usage-reader.ts'

/** Per million tokens. */
export interface Price {
  readonly input: number
  readonly output: number
}

export type Pricing = Readonly<Record<string, Price>>

export interface Expectation {
  readonly inputTokens: number
  /** The ceiling that the request names, after the policy's own. */
  readonly maxOutputTokens: number | null
  /** Whether the request makes a model generate at all. */
  readonly generates: boolean
}

/** What is reserved for an answer whose length nothing limits; what it did not use is given back. */
const DEFAULT_OUTPUT_TOKENS = 512

/** @returns What is reserved; the tokens of it are settled when the answer is over. */
export function expectedAmounts(expected: Expectation, price: Price | undefined): Amounts {
  const outputTokens = expected.generates ? (expected.maxOutputTokens ?? DEFAULT_OUTPUT_TOKENS) : 0
  return amountsOf(expected.inputTokens, outputTokens, price, 1)
}

/** @returns What a request that was forwarded took in the end: nothing is held any longer. */
export function usedAmounts({ inputTokens, outputTokens }: Usage, price: Price | undefined): Amounts {
  return amountsOf(inputTokens, outputTokens, price, 0)
}

function amountsOf(
  inputTokens: number,
  outputTokens: number,
  price: Price | undefined,
  concurrency: number,
): Amounts {
  return {
    requests: 1,
    concurrency,
    input_tokens: inputTokens,
    output_tokens: outputTokens,
    tokens: inputTokens + outputTokens,
    cost: price === undefined ? 0 : costOf({ inputTokens, outputTokens }, price),
  }
}

export function costOf({ inputTokens, outputTokens }: Usage, price: Price | undefined): number {
  return price === undefined ? 0 : (inputTokens * price.input + outputTokens * price.output) / 1e6
}

/**
 * The price of a request: of those of the models that may serve it, the highest.
 *
 * @throws GatewayError `policy_error` when a cost is limited and a model has no price: it would
 *   be free, and the limit none.
 */
export function priceFor(
  models: readonly string[],
  pricing: Pricing,
  claims: readonly Claim[],
): Price | undefined {
  const costIsLimited = claims.some(({ unit }) => unit === 'cost')
  let highest: Price | undefined
  for (const model of models) {
    const price = Object.hasOwn(pricing, model) ? pricing[model] : undefined
    if (price) highest = highest ? higher(highest, price) : price
    else if (costIsLimited)
      throw new GatewayError('policy_error', `a cost is limited, and pricing has no ${JSON.stringify(model)}`)
  }
  return highest
}

function higher(one: Price, other: Price): Price {
  return { input: Math.max(one.input, other.input), output: Math.max(one.output, other.output) }
}
