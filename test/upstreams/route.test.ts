import { describe, expect, it } from 'vitest'
import type { Pool } from '../../src/upstreams/pools.ts'
import { route } from '../../src/upstreams/route.ts'
import { poolConfig, poolsOf } from '../support/pool.ts'
import { thrownBy } from '../support/thrown.ts'

const two = () =>
  poolsOf({
    gpu: poolConfig(['http://a'], { models: ['big'] }),
    cpu: poolConfig(['http://b'], { models: ['tiny', 'big'] }),
  }).pools
const down = (pools: ReturnType<typeof two>, name: string): void => {
  for (const target of pools.named(name)?.targets ?? [])
    pools.failed(target, pools.named(name) as Pool, 'unreachable')
}

describe('route', () => {
  it('takes the pool that the policy names, whatever the model', () => {
    expect(route({ allow: true, pool: 'cpu' }, 'unheard-of', two())[0].name).toBe('cpu')
  })

  it('takes the pool whose models hold the model, when the policy names none', () => {
    expect(route({ allow: true }, 'tiny', two())[0].name).toBe('cpu')
    expect(route({ allow: true }, 'big', two())[0].name).toBe('gpu')
  })

  it('takes the first of several pools that can serve', () => {
    const pools = two()
    expect(route({ allow: true, pools: ['gpu', 'cpu'] }, 'big', pools)[0].name).toBe('gpu')
    down(pools, 'gpu')
    expect(route({ allow: true, pools: ['gpu', 'cpu'] }, 'big', pools)[0].name).toBe('cpu')
    down(pools, 'cpu')
    expect(route({ allow: true, pools: ['gpu', 'cpu'] }, 'big', pools)[0].name).toBe('gpu')
  })

  it('passes over a pool that is not there, as long as one is', () => {
    expect(route({ allow: true, pools: ['gone', 'cpu'] }, 'big', two())[0].name).toBe('cpu')
  })

  it('refuses when no pool that the policy names is there: the policy is wrong, not the caller', () => {
    expect(thrownBy(() => route({ allow: true, pool: 'gone' }, 'big', two()))).toMatchObject({
      code: 'policy_error',
      status: 500,
    })
  })

  it('answers a model that no pool has with 404', () => {
    expect(thrownBy(() => route({ allow: true }, 'huge', two()))).toMatchObject({
      code: 'model_not_found',
      status: 404,
    })
  })

  it('takes the only pool for a request without a model, and guesses among several never', () => {
    const one = poolsOf({ only: poolConfig(['http://a']) }).pools
    expect(route({ allow: true }, null, one)[0].name).toBe('only')
    expect(thrownBy(() => route({ allow: true }, null, two())).code).toBe('model_not_found')
  })
})
