import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { OTHER_MEANINGS } from '../../src/contract/error-meanings.ts'
import { REFUSALS } from '../../src/contract/errors.ts'
import { FINDING_MEANINGS } from '../../src/contract/finding-meanings.ts'
import { explainedCode } from '../../src/toolbox/explain-code.ts'
import { runCommand } from '../support/gateway.ts'

const page = (name: string): string =>
  readFileSync(new URL(`../../docs/reference/${name}`, import.meta.url), 'utf8')

/** Of errors the types see to it that each code has a meaning, and of findings too. */
describe('what a code means', () => {
  it.each([
    ['errors.md', { ...REFUSALS, ...OTHER_MEANINGS }],
    ['findings.md', FINDING_MEANINGS],
  ])('is told by `explain`, and at the place of that name in %s', (name, codes) => {
    const text = page(name)
    for (const code of Object.keys(codes)) {
      const { meaning = '' } = explainedCode(code) ?? {}
      expect(meaning.length).toBeGreaterThan(20)
      expect(text).toContain(`[${code}](#${code})`)
      expect(text).toMatch(new RegExp(`^##+ ${code}$`, 'm'))
      expect(text).toContain(meaning)
    }
  })

  it('is told in one place for one code', () => {
    const errors = [...Object.keys(REFUSALS), ...Object.keys(OTHER_MEANINGS)]
    expect(Object.keys(FINDING_MEANINGS).filter(code => errors.includes(code))).toEqual([])
  })

  it('is told by the command, which takes anything else for a file', async () => {
    const told = await runCommand(['explain', 'quota_exceeded'])
    expect([told.code, told.stdout]).toEqual([0, expect.stringContaining('429')])
    const json = await runCommand(['explain', 'tls_expired', '--format', 'json'])
    expect(JSON.parse(json.stdout)).toEqual({ code: 'tls_expired', meaning: FINDING_MEANINGS.tls_expired })
    expect((await runCommand(['explain', 'no_such_code_and_no_file'])).code).toBe(3)
  })
})
