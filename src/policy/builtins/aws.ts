/**
 * providers.aws.sign_req: a request object with AWS Signature Version 4 headers.
 *
 * See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
import { createHash, createHmac } from 'node:crypto'
import { RegoObject, type Value } from '../values/values.ts'
import { BuiltinError, type Builtins, integer, object, typeError } from './builtin.ts'
import { fromNanos, UTC } from './go-calendar.ts'
import { marshal } from './go-json.ts'
import { formatTime } from './go-time-format.ts'
import { escapedPath, parseUrl } from './go-url.ts'

export const aws: Builtins = {
  'providers.aws.sign_req': operands => {
    const request = object(operands, 0)
    const config = object(operands, 1)
    const at = fromNanos(integer(operands, 2))
    return sign(request, config, formatTime(at, UTC, '20060102T150405Z'))
  },
}

const REQUIRED = ['aws_service', 'aws_access_key', 'aws_secret_access_key', 'aws_region'] as const
/** What a proxy on the way may change. */
const UNSIGNED = new Set(['authorization', 'user-agent', 'x-amzn-trace-id'])
const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD'

/** What a request object for `http.send` may say; anything else is a mistake. */
const REQUEST_KEYS = new Set(
  `method url body enable_redirect force_json_decode force_yaml_decode headers raw_body tls_use_system_certs
  tls_ca_cert tls_ca_cert_file tls_ca_cert_env_variable tls_client_cert tls_client_cert_file
  tls_client_cert_env_variable tls_client_key tls_client_key_file tls_client_key_env_variable
  tls_insecure_skip_verify tls_server_name timeout cache force_cache force_cache_duration_seconds raise_error
  caching_mode max_retry_attempts cache_ignored_headers`.split(/\s+/),
)

function sign(request: RegoObject, config: RegoObject, time: string): RegoObject {
  const [service, accessKey, secretKey, region] = REQUIRED.map(name => text(config, name)) as [
    string,
    string,
    string,
    string,
  ]
  const token = config.get('aws_session_token')
  const unknown = [...request].map(([key]) => String(key)).filter(key => !REQUEST_KEYS.has(key))
  if (unknown.length > 0) throw new BuiltinError(`operand 1 invalid request parameters(s): ${unknown.join()}`)
  const url = parseUrl(text(request, 'url'))
  const unsignedPayload = flag(config, 'disable_payload_signing')
  const bodyHash = sha256(bodyOf(request))

  const added: Record<string, string> = { host: url.host, 'x-amz-date': time }
  const payload = service === 's3' && unsignedPayload ? UNSIGNED_PAYLOAD : bodyHash
  if (service === 's3' || service === 'glacier') added['x-amz-content-sha256'] = payload
  if (typeof token === 'string' && token !== '') added['x-amz-security-token'] = token

  const own = headersOf(request)
  const signed = new Map(Object.entries(added))
  for (const [name, value] of own)
    if (!UNSIGNED.has(name.toLowerCase())) signed.set(name.toLowerCase(), value)
  const names = [...signed.keys()].sort()

  const canonical = [
    text(request, 'method'),
    escapedPath(url),
    url.query,
    ...names.map(name => `${name}:${signed.get(name)}`),
    '',
    names.join(';'),
    payload,
  ].join('\n')
  const scope = `${time.slice(0, 8)}/${region}/${service}/aws4_request`
  const toSign = ['AWS4-HMAC-SHA256', time, scope, sha256(canonical)].join('\n')
  const key = scope
    .split('/')
    .reduce<string | Buffer>((secret, part) => hmac(secret, part), `AWS4${secretKey}`)
  const authorization =
    `AWS4-HMAC-SHA256 Credential=${accessKey}/${scope},SignedHeaders=${names.join(';')},` +
    `Signature=${hmac(key, toSign).toString('hex')}`

  const headers = RegoObject.of({ ...Object.fromEntries(own), Authorization: authorization, ...added })
  return new RegoObject([...request, ['headers', headers]])
}

function text(from: RegoObject, name: string): string {
  const value = from.get(name)
  if (typeof value !== 'string') throw new BuiltinError(`missing or invalid parameter: ${name}`)
  return value
}

function flag(from: RegoObject, name: string): boolean {
  const value = from.get(name) ?? false
  if (typeof value !== 'boolean') throw new BuiltinError(`invalid value for '${name}' in AWS config`)
  return value
}

function headersOf(request: RegoObject): [string, string][] {
  const headers = request.get('headers') ?? new RegoObject()
  if (!(headers instanceof RegoObject)) throw typeError(0, 'object', headers)
  return [...headers].map(([name, value]) => [asText(name), asText(value)])
}

function asText(value: Value): string {
  return typeof value === 'string' ? value : ''
}

function bodyOf(request: RegoObject): string {
  const raw = request.get('raw_body')
  if (raw !== undefined) return asText(raw)
  const body = request.get('body')
  return body === undefined ? '' : marshal(body)
}

function sha256(content: string): string {
  return createHash('sha256').update(content).digest('hex')
}

function hmac(key: string | Buffer, content: string): Buffer {
  return createHmac('sha256', key).update(content).digest()
}
