/**
 * Route: which pools may serve a decided request, in the order in which they are asked.
 */
import type { Decision } from '../contract/decision.schema.ts'
import { GatewayError } from '../contract/errors.ts'
import type { Pool, Pools } from './pools.ts'

/**
 * @param model - After the policy's rewrite; null where the request names none.
 * @throws GatewayError `model_not_found` when no pool has the model, `policy_error` when the policy
 *   names pools that do not exist.
 */
export function route(
  decision: Decision,
  model: string | null,
  pools: Pick<Pools, 'named' | 'serving' | 'all' | 'standing'>,
): readonly [Pool, ...Pool[]] {
  const names = decision.pools ?? (decision.pool === undefined ? [] : [decision.pool])
  if (names.length > 0) return inOrder(names, pools)
  if (model !== null) {
    const pool = pools.serving(model)
    if (pool) return [pool]
    throw new GatewayError('model_not_found', 'no pool serves the model', {
      title: `The model ${JSON.stringify(model)} does not exist`,
    })
  }
  const [only, ...others] = pools.all()
  if (only && others.length === 0) return [only]
  throw new GatewayError('model_not_found', 'the request names no model and the policy no pool', {
    title: 'The request names no model',
  })
}

/** As the policy names them, but those that cannot serve now come last. */
function inOrder(
  names: readonly string[],
  pools: Pick<Pools, 'named' | 'standing'>,
): readonly [Pool, ...Pool[]] {
  const [name, another] = names
  const only = another === undefined && name !== undefined ? pools.named(name) : undefined
  if (only) return [only]
  const known = [...new Set(names)].map(name => pools.named(name)).filter(pool => pool !== undefined)
  const [first, ...others] = [
    ...known.filter(pool => pools.standing(pool)),
    ...known.filter(pool => !pools.standing(pool)),
  ]
  if (first) return [first, ...others]
  throw new GatewayError('policy_error', `the decision names pools that do not exist: ${names.join(', ')}`)
}
