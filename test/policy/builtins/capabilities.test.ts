import { execFileSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { capabilities, isOffered } from '../../../src/policy/builtins/capabilities.ts'
import { BUILTINS } from '../../../src/policy/builtins/registry.ts'
import { findOpa } from '../../../src/policy/compile/opa-command.ts'
import { ask } from '../rego.ts'

const text = execFileSync(findOpa()?.path as string, ['capabilities', '--current'], { encoding: 'utf8' })
const all = JSON.parse(text) as { builtins: { name: string }[]; features: string[] }

describe('capabilities', () => {
  it('leave out four builtins, and nothing else', () => {
    const offered = capabilities(text)
    const names = new Set(offered.builtins.map(({ name }) => name))
    const missing = all.builtins.map(({ name }) => name).filter(name => !names.has(name))
    expect(missing.sort()).toEqual(['http.send', 'net.lookup_ip_addr', 'opa.runtime', 'rego.parse_module'])
    expect(offered.features).toEqual(all.features)
  })

  it('do not know a builtin of a compiler to come', () => {
    expect(isOffered('future.builtin')).toBe(false)
    expect(capabilities('{"builtins":[{"name":"future.builtin"},{"name":"plus"}]}').builtins).toEqual([
      { name: 'plus' },
    ])
  })
})

describe('tracing', () => {
  it('says nothing and holds', () => {
    expect(ask('trace("x")')).toBe('true')
    expect(BUILTINS.has('http.send')).toBe(false)
  })
})
