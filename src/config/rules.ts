/**
 * What a schema cannot say of a config: values that are each right and wrong together.
 */
import { validateHeaderName, validateHeaderValue } from 'node:http'
import { isLoopback, isSafeUrl, isUrl } from '../contract/addresses.ts'
import type { TargetConfig } from '../contract/config/pools.ts'
import type { GatewayConfig } from '../contract/config.schema.ts'
import { parseDuration } from '../contract/units.ts'
import { judgeAudit } from './audit-rules.ts'
import type { JsonPath } from './document.ts'
import { judgeIdentity } from './identity-rules.ts'

export interface Objection {
  readonly code: string
  readonly path: JsonPath
  readonly message: string
}

/** The longest time that a Node timer can hold; beyond it a limit would be no limit at all. */
const LONGEST_MS = 2_147_483_647

export function judge(config: GatewayConfig): Objection[] {
  return [
    ...adminNeedsToken(config),
    ...bundlesThatCanBeTrusted(config),
    ...storeThatCanBeShared(config),
    ...windowsThatHold(config),
    ...timeoutsThatHold(config),
    ...poolsThatCanBeTold(config),
    ...targetsThatCanBeAsked(config),
    ...webhooksThatCanBeTrusted(config),
    ...judgeAudit(config),
    ...judgeIdentity(config),
  ]
}

function adminNeedsToken({ admin }: GatewayConfig): Objection[] {
  const { host, token, tokens, tls } = admin
  const isKept = token !== undefined || tokens.length > 0 || tls?.clientCaFile !== undefined
  if (isLoopback(host) || isKept) return []
  const message = 'required, because admin.host is not a loopback address'
  return [{ code: 'admin_without_token', path: ['admin', 'token'], message }]
}

function bundlesThatCanBeTrusted({ policy }: GatewayConfig): Objection[] {
  const { path, candidate, signature } = policy
  const keyless = signature.required && signature.publicKeyFile.length === 0
  const message = 'required, because policy.signature.required is true'
  return [
    ...sourceThatCanBeAsked(path, ['policy', 'path']),
    ...(candidate ? sourceThatCanBeAsked(candidate.path, ['policy', 'candidate', 'path']) : []),
    ...(keyless
      ? [{ code: 'signature_without_key', path: ['policy', 'signature', 'publicKeyFile'], message }]
      : []),
  ]
}

/** Over plain http anybody on the way could put another policy in force. */
function sourceThatCanBeAsked(source: string, path: JsonPath): Objection[] {
  if (!isUrl(source)) return []
  if (!URL.canParse(source))
    return [{ code: 'invalid_url', path, message: 'expected a URL such as https://host/bundle.tar.gz' }]
  if (isSafeUrl(new URL(source))) return []
  return [{ code: 'insecure_url', path, message: 'expected https; plain http is for loopback only' }]
}

function storeThatCanBeShared({ store, identity }: GatewayConfig): Objection[] {
  const keysInMemory = store.engine === 'memory' && identity.apiKeys.in === 'store'
  return [
    ...(store.engine === 'redis' && (store.url === undefined || !URL.canParse(store.url))
      ? [
          {
            code: 'store_without_url',
            path: ['store', 'url'],
            message: 'required for redis: a URL such as redis://127.0.0.1:6379',
          },
        ]
      : []),
    ...(keysInMemory
      ? [
          {
            code: 'keys_in_memory',
            path: ['identity', 'apiKeys', 'in'],
            message:
              'no command could reach keys in the memory of a gateway; needs store.engine sqlite or redis',
          },
        ]
      : []),
  ]
}

function windowsThatHold({ limits }: GatewayConfig): Objection[] {
  if (!limits.unauthenticated || parseDuration(limits.unauthenticated.window) <= LONGEST_MS) return []
  return [
    {
      code: 'window_too_long',
      path: ['limits', 'unauthenticated', 'window'],
      message: 'expected at most 24 days',
    },
  ]
}

/** A timer that is set for longer fires at once. */
function timeoutsThatHold({ listen }: GatewayConfig): Objection[] {
  return Object.entries(listen.timeouts)
    .filter(([, text]) => parseDuration(text) > LONGEST_MS)
    .map(([name]) => ({
      code: 'timeout_too_long',
      path: ['listen', 'timeouts', name],
      message: 'expected at most 24 days',
    }))
}

/** A target is known by its URL: twice in one pool would count everything twice. */
function poolsThatCanBeTold({ pools }: GatewayConfig): Objection[] {
  return Object.entries(pools).flatMap(([name, pool]) => {
    const urls = pool.targets.map(target => target.url.replace(/\/+$/, ''))
    return urls.flatMap((url, index) =>
      urls.indexOf(url) === index
        ? []
        : [
            {
              code: 'duplicate_target',
              path: ['pools', name, 'targets', index, 'url'],
              message: 'this target is named twice',
            },
          ],
    )
  })
}

/** What HTTP itself would refuse, found now and not by the first request. */
function targetsThatCanBeAsked({ pools }: GatewayConfig): Objection[] {
  return Object.entries(pools).flatMap(([name, pool]) =>
    pool.targets.flatMap((target, index) => {
      const at = ['pools', name, 'targets', index]
      const bad = Object.entries(target.headers).filter(([header, value]) => !isHeader(header, value))
      return [
        ...(URL.canParse(target.url)
          ? []
          : [
              {
                code: 'invalid_url',
                path: [...at, 'url'],
                message: 'expected a URL such as http://127.0.0.1:8000',
              },
            ]),
        ...tlsThatFits(target, at),
        ...bad.map(([header]) => ({
          code: 'invalid_header',
          path: [...at, 'headers', header],
          message: 'expected a name and a value that HTTP allows',
        })),
      ]
    }),
  )
}

function tlsThatFits({ url, tls }: TargetConfig, at: JsonPath): Objection[] {
  if (!tls) return []
  const path = [...at, 'tls']
  if (!/^https:/i.test(url))
    return [{ code: 'tls_without_https', path, message: 'is for targets whose url begins with https:' }]
  if ((tls.certFile === undefined) === (tls.keyFile === undefined)) return []
  return [{ code: 'half_a_certificate', path, message: 'certFile and keyFile go together' }]
}

/** What is told of access is for its receiver alone, which must be able to tell who told it. */
function webhooksThatCanBeTrusted({ access }: GatewayConfig): Objection[] {
  return access.webhooks.flatMap(({ url, secret, format }, index) => {
    const at = ['access', 'webhooks', index]
    const unsigned = format === 'json' && secret === undefined
    const again = access.webhooks.findIndex(hook => hook.url === url) < index
    return [
      ...sourceThatCanBeAsked(url, [...at, 'url']),
      ...(again
        ? [{ code: 'duplicate_webhook', path: [...at, 'url'], message: 'this receiver is named twice' }]
        : []),
      ...(unsigned
        ? [{ code: 'webhook_without_secret', path: [...at, 'secret'], message: 'required for format json' }]
        : []),
    ]
  })
}

function isHeader(name: string, value: string): boolean {
  try {
    validateHeaderName(name)
    validateHeaderValue(name, value)
    return true
  } catch {
    return false
  }
}
