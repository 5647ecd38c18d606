/**
 * What a schema cannot say of a config: values that are each right and wrong together.
 */
import { isLoopback, isSafeUrl, isUrl } from '../contract/addresses.ts'
import type { TargetConfig } from '../contract/config/pools.ts'
import type { GatewayConfig } from '../contract/config.schema.ts'
import { parseDuration } from '../contract/units.ts'
import { judgeAudit } from './audit-rules.ts'
import type { JsonPath } from './document.ts'
import { judgeIdentity } from './identity-rules.ts'
import { isHeader, type Objection, objectIf } from './objection.ts'

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

function adminNeedsToken({ admin }: GatewayConfig): readonly Objection[] {
  const { host, token, tokens, tls } = admin
  const isKept = token !== undefined || tokens.length > 0 || tls?.clientCaFile !== undefined
  const message = 'required, because admin.host is not a loopback address'
  return objectIf(!isLoopback(host) && !isKept, 'admin_without_token', ['admin', 'token'], message)
}

function bundlesThatCanBeTrusted({ policy }: GatewayConfig): readonly Objection[] {
  const { path, candidate, signature } = policy
  const keyless = signature.required && signature.publicKeyFile.length === 0
  const message = 'required, because policy.signature.required is true'
  return [
    ...sourceThatCanBeAsked(path, ['policy', 'path']),
    ...(candidate ? sourceThatCanBeAsked(candidate.path, ['policy', 'candidate', 'path']) : []),
    ...objectIf(keyless, 'signature_without_key', ['policy', 'signature', 'publicKeyFile'], message),
  ]
}

/** Over plain http anybody on the way could put another policy in force. */
function sourceThatCanBeAsked(source: string, path: JsonPath): readonly Objection[] {
  if (!isUrl(source)) return []
  if (!URL.canParse(source))
    return objectIf(true, 'invalid_url', path, 'expected a URL such as https://host/bundle.tar.gz')
  const message = 'expected https; plain http is for loopback only'
  return objectIf(!isSafeUrl(new URL(source)), 'insecure_url', path, message)
}

function storeThatCanBeShared({ store, identity }: GatewayConfig): readonly Objection[] {
  return [
    ...objectIf(
      store.engine === 'redis' && (store.url === undefined || !URL.canParse(store.url)),
      'store_without_url',
      ['store', 'url'],
      'required for redis: a URL such as redis://127.0.0.1:6379',
    ),
    ...objectIf(
      store.engine === 'memory' && identity.apiKeys.in === 'store',
      'keys_in_memory',
      ['identity', 'apiKeys', 'in'],
      'no command could reach keys in the memory of a gateway; needs store.engine sqlite or redis',
    ),
  ]
}

function windowsThatHold({ limits: { unauthenticated } }: GatewayConfig): readonly Objection[] {
  return objectIf(
    unauthenticated !== false && parseDuration(unauthenticated.window) > LONGEST_MS,
    'window_too_long',
    ['limits', 'unauthenticated', 'window'],
    'expected at most 24 days',
  )
}

/** A timer that is set for longer fires at once. */
function timeoutsThatHold({ listen }: GatewayConfig): Objection[] {
  return Object.entries(listen.timeouts).flatMap(([name, text]) =>
    objectIf(
      parseDuration(text) > LONGEST_MS,
      'timeout_too_long',
      ['listen', 'timeouts', name],
      'expected at most 24 days',
    ),
  )
}

/** A target is known by its URL: twice in one pool would count everything twice. */
function poolsThatCanBeTold({ pools }: GatewayConfig): Objection[] {
  return Object.entries(pools).flatMap(([name, pool]) => {
    const urls = pool.targets.map(target => target.url.replace(/\/+$/, ''))
    return urls.flatMap((url, index) =>
      objectIf(
        urls.indexOf(url) < index,
        'duplicate_target',
        ['pools', name, 'targets', index, 'url'],
        'this target is named twice',
      ),
    )
  })
}

/** What HTTP itself would refuse, found now and not by the first request. */
function targetsThatCanBeAsked({ pools }: GatewayConfig): Objection[] {
  return Object.entries(pools).flatMap(([name, pool]) =>
    pool.targets.flatMap((target, index) => {
      const at = ['pools', name, 'targets', index]
      const example = 'expected a URL such as http://127.0.0.1:8000'
      return [
        ...objectIf(!URL.canParse(target.url), 'invalid_url', [...at, 'url'], example),
        ...tlsThatFits(target, at),
        ...Object.entries(target.headers).flatMap(header =>
          objectIf(
            !isHeader(header),
            'invalid_header',
            [...at, 'headers', header[0]],
            'expected a name and a value that HTTP allows',
          ),
        ),
      ]
    }),
  )
}

function tlsThatFits({ url, tls }: TargetConfig, at: JsonPath): readonly Objection[] {
  if (!tls) return []
  const path = [...at, 'tls']
  if (!/^https:/i.test(url))
    return objectIf(true, 'tls_without_https', path, 'is for targets whose url begins with https:')
  const isHalf = (tls.certFile === undefined) !== (tls.keyFile === undefined)
  return objectIf(isHalf, 'half_a_certificate', path, 'certFile and keyFile go together')
}

/** What is told of access is for its receiver alone, which must be able to tell who told it. */
function webhooksThatCanBeTrusted({ access }: GatewayConfig): Objection[] {
  return access.webhooks.flatMap(({ url, secret, format }, index) => {
    const at = ['access', 'webhooks', index]
    const unsigned = format === 'json' && secret === undefined
    const again = access.webhooks.findIndex(hook => hook.url === url) < index
    return [
      ...sourceThatCanBeAsked(url, [...at, 'url']),
      ...objectIf(again, 'duplicate_webhook', [...at, 'url'], 'this receiver is named twice'),
      ...objectIf(unsigned, 'webhook_without_secret', [...at, 'secret'], 'required for format json'),
    ]
  })
}
