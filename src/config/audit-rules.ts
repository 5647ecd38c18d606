/**
 * What a schema cannot say of `audit`: sinks that would get in each other's way, and what cannot be sent.
 */
import { validateHeaderName, validateHeaderValue } from 'node:http'
import { isSafeUrl } from '../contract/addresses.ts'
import type { HttpSinkConfig, SinkConfig } from '../contract/config/audit.ts'
import type { GatewayConfig } from '../contract/config.schema.ts'
import { sinkNames } from '../contract/sink-names.ts'
import type { Objection } from './rules.ts'

export function judgeAudit({ audit }: GatewayConfig): Objection[] {
  const names = sinkNames(audit.sinks)
  return audit.sinks.flatMap((sink, index) => {
    const object = (code: string, key: string, message: string): Objection[] => [
      { code, path: ['audit', 'sinks', index, key], message },
    ]
    const before = audit.sinks.slice(0, index)
    return [
      ...(before.some(other => isSamePlace(sink, other))
        ? object('duplicate_sink', sink.type === 'file' ? 'path' : 'type', 'another sink writes there')
        : []),
      ...(names.indexOf(names[index] as string) < index
        ? object('duplicate_sink', 'name', 'another sink has this name')
        : []),
      ...(sink.type === 'http' ? judgeUpload(sink, object) : []),
    ]
  })
}

function isSamePlace(one: SinkConfig, other: SinkConfig): boolean {
  if (one.type === 'file') return other.type === 'file' && one.path === other.path
  if (one.type === 'stdout') return other.type === 'stdout'
  const place = one.buffer.path
  return place !== undefined && other.type === 'http' && other.buffer.path === place
}

function judgeUpload(
  { url, token, headers }: HttpSinkConfig,
  object: (code: string, key: string, message: string) => Objection[],
): Objection[] {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    return object('invalid_url', 'url', 'expected a URL such as https://collector.example')
  const isSecret = token !== undefined || Object.keys(headers).some(name => /^authorization$/i.test(name))
  return [
    ...(isSecret && !isSafeUrl(new URL(url))
      ? object('insecure_url', 'url', 'expected https; a credential goes over plain http on loopback only')
      : []),
    ...(Object.entries(headers).every(([name, value]) => isHeader(name, value))
      ? []
      : object('invalid_header', 'headers', 'expected names and values that HTTP allows')),
  ]
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
