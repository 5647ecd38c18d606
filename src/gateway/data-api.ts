/**
 * What OPA's data API asks of a gateway: the policy in force, at this moment or at the one an input names.
 */
import { nowNsOf, query } from '../policy/query.ts'
import { newId } from '../server/ids.ts'
import type { OpaApiNeeds } from '../server/opa-api.ts'
import { VERSION } from '../version.ts'
import type { Policy } from './policies.ts'

/** @param now - Milliseconds since the epoch. */
export function dataApi(policy: Pick<Policy, 'current'>, now: () => number): OpaApiNeeds {
  return {
    version: VERSION,
    revision: () => policy.current()?.id,
    query(path, inputText) {
      const revision = policy.current()
      const nowNs = nowNsOf(inputText) ?? BigInt(now()) * 1_000_000n
      return revision && query(revision, { path, inputText, instant: { nowNs, seed: newId(now()) } })
    },
  }
}
