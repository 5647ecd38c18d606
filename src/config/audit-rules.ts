/**
 * What a schema cannot say of `audit`: sinks that would get in each other's way, and what cannot be sent.
 */
import { isSafeUrl } from '../contract/addresses.ts'
import type { HttpSinkConfig, SinkConfig } from '../contract/config/audit.ts'
import type { GatewayConfig } from '../contract/config.schema.ts'
import { sinkNames } from '../contract/sink-names.ts'
import type { JsonPath } from './document.ts'
import { isHeader, type Objection, objectIf } from './objection.ts'

export function judgeAudit({ audit }: GatewayConfig): Objection[] {
  const names = sinkNames(audit.sinks)
  return audit.sinks.flatMap((sink, index) => {
    const at = ['audit', 'sinks', index]
    const isTaken = audit.sinks.slice(0, index).some(other => isSamePlace(sink, other))
    const place = sink.type === 'file' ? 'path' : 'type'
    const isNamed = names.indexOf(names[index] as string) < index
    return [
      ...objectIf(isTaken, 'duplicate_sink', [...at, place], 'another sink writes there'),
      ...objectIf(isNamed, 'duplicate_sink', [...at, 'name'], 'another sink has this name'),
      ...(sink.type === 'http' ? judgeUpload(sink, at) : []),
    ]
  })
}

function isSamePlace(one: SinkConfig, other: SinkConfig): boolean {
  if (one.type === 'file') return other.type === 'file' && one.path === other.path
  if (one.type === 'stdout') return other.type === 'stdout'
  const place = one.buffer.path
  return place !== undefined && other.type === 'http' && other.buffer.path === place
}

function judgeUpload({ url, token, headers }: HttpSinkConfig, at: JsonPath): readonly Objection[] {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    return objectIf(true, 'invalid_url', [...at, 'url'], 'expected a URL such as https://collector.example')
  const isSecret = token !== undefined || Object.keys(headers).some(name => /^authorization$/i.test(name))
  return [
    ...objectIf(
      isSecret && !isSafeUrl(new URL(url)),
      'insecure_url',
      [...at, 'url'],
      'expected https; a credential goes over plain http on loopback only',
    ),
    ...objectIf(
      !Object.entries(headers).every(isHeader),
      'invalid_header',
      [...at, 'headers'],
      'expected names and values that HTTP allows',
    ),
  ]
}
