import { describe, expect, it } from 'vitest'
import { readConfig } from '../../src/config/load.ts'

function findingsOf(audit: object): { code: string; message: string }[] {
  const text = JSON.stringify({
    pools: { chat: { models: ['tiny'], targets: [{ url: 'http://127.0.0.1:1' }] } },
    audit,
  })
  return readConfig(text, 'gateway.config.json', '/', { env: {}, readFile: () => '' }).findings.map(
    ({ code, message }) => ({ code, message }),
  )
}
const codesOf = (...sinks: object[]): string[] => findingsOf({ sinks }).map(({ code }) => code)

describe('the audit section', () => {
  it('takes each kind of sink, several at once, with their defaults', () => {
    const sinks = [{ type: 'file' }, { type: 'stdout' }, { type: 'http', url: 'https://collector.example' }]
    expect(findingsOf({ sinks })).toEqual([])
    const text = JSON.stringify({
      pools: { chat: { models: ['m'], targets: [{ url: 'http://x' }] } },
      audit: { sinks },
    })
    const { config } = readConfig(text, 'c.json', '/conf', { env: {}, readFile: () => '' })
    expect(config?.audit.sinks).toMatchObject([
      { path: '/conf/audit.jsonl', sync: '1s' },
      { type: 'stdout' },
      { resource: '/logs', interval: '1s', timeout: '10s', batch: '256KiB', buffer: { size: '64MiB' } },
    ])
  })

  it('names the nearest key for one that is misspelt, in the sink where it stands', () => {
    const [finding, ...rest] = findingsOf({ sinks: [{ type: 'file', rotate: { sise: '1MiB' } }] })
    expect(rest).toEqual([])
    expect(finding?.code).toBe('config_unknown_key')
    expect(finding?.message).toContain('audit.sinks[0].rotate.sise')
    expect(finding?.message).toContain('did you mean "size"')
  })

  it('refuses a kind of sink that there is not, and an upload to nowhere', () => {
    expect(codesOf({ type: 'kafka' })).toEqual(['config_invalid'])
    expect(codesOf({ type: 'http' })).toEqual(['config_invalid'])
    expect(codesOf({ type: 'http', url: 'collector' })).toEqual(['invalid_url'])
  })

  it('refuses sinks that would get in each other’s way', () => {
    expect(codesOf({ type: 'file' }, { type: 'file' })).toEqual(['duplicate_sink'])
    expect(codesOf({ type: 'stdout' }, { type: 'stdout' })).toEqual(['duplicate_sink'])
    expect(codesOf({ type: 'file' }, { type: 'file', path: 'other.jsonl' })).toEqual([])
    expect(codesOf({ type: 'file', name: 'a' }, { type: 'stdout', name: 'a' })).toEqual(['duplicate_sink'])
  })

  it('sends a credential over plain http on loopback only', () => {
    expect(codesOf({ type: 'http', url: 'http://collector.example', token: 't' })).toEqual(['insecure_url'])
    expect(codesOf({ type: 'http', url: 'http://127.0.0.1:9', token: 't' })).toEqual([])
    expect(codesOf({ type: 'http', url: 'http://collector.example' })).toEqual([])
  })

  it('refuses a key for masks that can be guessed', () => {
    expect(findingsOf({ maskKey: 'short' }).map(({ code }) => code)).toEqual(['config_invalid'])
  })
})
