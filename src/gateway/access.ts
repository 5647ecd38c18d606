/**
 * Just-in-time access of a gateway: its rooms joined to the store, the audit log and the corridor.
 */
import { createHash } from 'node:crypto'
import { type Access, createAccess } from '../access/access.ts'
import { createAnnouncer, type Untold } from '../access/announcer.ts'
import type { EndedGrant } from '../access/directory.ts'
import type { AccessDocument } from '../access/document.ts'
import type { ActiveGrant } from '../contract/access.schema.ts'
import type { WebhookConfig } from '../contract/config/access.ts'
import type { Principal } from '../contract/input.schema.ts'
import type { Shelf } from '../contract/shelf.ts'
import type { EpochMs } from '../contract/units.ts'
import { type AccessApi, createAccessApi } from '../corridor/access-api.ts'
import { GRANT_METHOD } from '../corridor/access-rights.ts'
import type { PipelineGrants } from '../corridor/pipeline.ts'
import { createGrantTokens, type GrantTokens, type KeptKey } from '../identity/grant-tokens.ts'
import { newId } from '../server/ids.ts'
import { type Store, StoreUnavailable } from '../store/store.ts'
import type { OperatorLog } from '../telemetry/operator-log.ts'
import type { AttemptsOf } from './settings.ts'

export interface GatewayAccess {
  readonly access: Access
  readonly api: AccessApi
  readonly tokens: GrantTokens
  readonly grants: PipelineGrants
  /** Another process wrote this request. */
  look(id: string): Promise<void>
  open(): Promise<void>
  close(): void
}

export interface GatewayAccessNeeds {
  readonly store: Store
  /** Whether grants hold while a store that keeps them is away. */
  readonly onStoreFailure: 'refuse' | 'local'
  readonly log: OperatorLog
  now(): EpochMs
  steady(): number
  confirmedAt(): EpochMs | undefined
  readonly attemptsOf: AttemptsOf
  /** Where others know of it only later: has them look at what was written. Never rejects. */
  echo?(id: string): Promise<void>
  /** Resolves when it is in the audit log. */
  write(event: string, facts: object): Promise<void>
  onEnded(grant: EndedGrant): void
  readonly webhooks: readonly WebhookConfig[]
  random(): number
}

export function openAccess(needs: GatewayAccessNeeds): GatewayAccess {
  const { store, log, now } = needs
  const onFault = (cause: unknown): void => {
    // A store that is away is told of once, by itself.
    if (!(cause instanceof StoreUnavailable)) log.error('access_fault', { message: String(cause) })
  }
  const makeId = (prefix: string): string => prefix + newId(now())
  const after = (ms: number, work: () => void): { close(): void } => {
    const timer = setTimeout(work, ms).unref()
    return { close: () => clearTimeout(timer) }
  }
  const announcer = createAnnouncer({
    hooks: needs.webhooks,
    outbox: store.shelf<Untold>('access_outbox'),
    now,
    newId: makeId,
    random: needs.random,
    send,
    after,
    onDropped: (url, why) =>
      log.warn('announcement_dropped', { receiver: new URL(url).origin, message: why }),
  })
  const requests = store.shelf<AccessDocument>('access_requests')
  const access = createAccess({
    requests: needs.echo ? echoing(requests, needs.echo) : requests,
    questions: store.shelf('access_questions'),
    now,
    steady: needs.steady,
    newId: makeId,
    digest: text => createHash('sha256').update(text).digest('base64url'),
    async record(event) {
      await needs.write(event.event, event.facts)
      await announcer.announce(event)
    },
    onEnded: needs.onEnded,
    every(ms, work) {
      const timer = setInterval(work, ms).unref()
      return { close: () => clearInterval(timer) }
    },
    onFault,
  })
  const holders = new WeakMap<AccessDocument, Principal>()

  function holderOf(grantId: string, at: EpochMs): Principal | undefined {
    const document = access.directory.ofGrant(grantId)?.value
    if (!document?.grant) return undefined
    const active = access.activeOf(document.principal.id, at)
    if (!active.some(({ facts }) => facts.id === grantId)) return undefined
    const known = holders.get(document) ?? holder(document, grantId, document.grant.expiresAt)
    holders.set(document, known)
    return known
  }

  const tokens = createGrantTokens({ keys: store.shelf<KeptKey>('access_signing_keys'), now, holderOf })
  return {
    access,
    tokens,
    api: createAccessApi({
      access,
      now,
      confirmedAt: needs.confirmedAt,
      calls: needs.attemptsOf('access', MOST_CALLS_A_MINUTE, 60_000),
      after,
      mint: ({ principal }, grant) => tokens.mint({ ...grant, principal: principal.id }),
    }),
    grants: {
      of(principal, at) {
        const active = access.activeOf(principal.id, at)
        if (active.length > 0 && needs.onStoreFailure === 'refuse' && !store.ok()) {
          throw new StoreUnavailable('what was revoked meanwhile is not known')
        }
        return inScope(principal, active)
      },
      used: ({ facts }, by) => access.desk.used(facts.id, by),
      usedUp: ({ facts }) => void access.desk.usedUp(facts.id).catch(onFault),
    },
    async look(id) {
      await requests.look?.(id)
    },
    async open() {
      // What a store that is away keeps is learned when it is back.
      await Promise.all([access.open().catch(onFault), announcer.open().catch(onFault)])
    },
    close() {
      access.close()
      announcer.close()
    },
  }
}

/** What is written is known everywhere before it is answered. */
function echoing<T>(shelf: Shelf<T>, echo: (id: string) => Promise<void>): Shelf<T> {
  return {
    ...shelf,
    async put(id, ...document) {
      const kept = await shelf.put(id, ...document)
      if (kept) await echo(id)
      return kept
    },
    async remove(id, version) {
      const removed = await shelf.remove(id, version)
      if (removed) await echo(id)
      return removed
    },
  }
}

/** Under `/-/access`, of one principal: each asks the policy, and some are put on record. */
const MOST_CALLS_A_MINUTE = 1000
const RECEIVER_MS = 5000

/** What a receiver answers is not read, and where it sends us we do not go. */
async function send(url: string, headers: Readonly<Record<string, string>>, body: string): Promise<number> {
  const signal = AbortSignal.timeout(RECEIVER_MS)
  const response = await fetch(url, { method: 'POST', headers, body, redirect: 'manual', signal })
  await response.body?.cancel()
  return response.status
}

/** Whoever shows the credential of a grant has what is granted, and nothing of the principal's own. */
function holder({ principal }: AccessDocument, grantId: string, expiresAt: EpochMs): Principal {
  return {
    ...principal,
    roles: [],
    method: GRANT_METHOD,
    key_id: null,
    claims: { grant: grantId },
    expires_at: new Date(expiresAt).toISOString(),
  }
}

function inScope({ method, claims }: Principal, grants: readonly ActiveGrant[]): readonly ActiveGrant[] {
  return method === GRANT_METHOD ? grants.filter(({ facts }) => facts.id === claims.grant) : grants
}
