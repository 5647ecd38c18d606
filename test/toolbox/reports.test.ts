import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Finding } from '../../src/contract/findings.ts'
import { showFinding } from '../../src/toolbox/excerpt.ts'
import { githubFindings, githubTests } from '../../src/toolbox/report-github.ts'
import { junit } from '../../src/toolbox/report-junit.ts'
import { hasFailed, ranges, type TestReport } from '../../src/toolbox/test-report.ts'
import { testTargets } from '../../src/toolbox/test-targets.ts'
import { temporaryFolder } from '../support/folder.ts'
import { readXml } from '../support/xml.ts'

const FINDING: Finding = {
  severity: 'warning',
  code: 'silent_deny',
  message: 'a, b: 100 %\nof it',
  file: 'p,a:b/x.rego',
  line: 3,
  column: 7,
  hint: 'mend it',
}
const report = (more: Partial<TestReport> = {}): TestReport => ({
  results: [
    {
      name: 'data.a_test.test_x',
      kind: 'unit',
      file: 'p/a_test.rego',
      line: 3,
      outcome: 'pass',
      message: '',
    },
    {
      name: 'a "name" <b> & \u0000\u001b[31m \ud800',
      kind: 'scenario',
      file: 'p/s.scenario.yaml',
      line: 9,
      outcome: 'fail',
      message: 'expected "<&>"\n\tgot ]]> 100 %',
    },
  ],
  findings: [],
  coverage: undefined,
  threshold: undefined,
  ...more,
})
const covered = (percent: number): Pick<TestReport, 'coverage' | 'threshold'> => ({
  coverage: { percent, files: {} },
  threshold: 90,
})

describe('JUnit', () => {
  it('is well-formed, whatever a name or a message holds', () => {
    const elements = readXml(junit(report()))
    expect(elements.map(({ name }) => name)).toEqual([
      'testsuites',
      'testsuite',
      'testcase',
      'testsuite',
      'testcase',
      'failure',
    ])
    expect(elements[0]?.attributes).toEqual({ name: 'sallyport', tests: '2', failures: '1', errors: '0' })
    expect(elements[2]?.attributes).toEqual({
      name: 'data.a_test.test_x',
      classname: 'p.a_test',
      file: 'p/a_test.rego',
      line: '3',
    })
    expect(elements[4]?.attributes.name).toBe('a "name" <b> & \ufffd\ufffd[31m \ufffd')
    expect(elements[5]?.attributes.message).toBe('expected "<&>"')
    expect(elements[5]?.text).toContain('\tgot ]]> 100 %')
  })

  it('has findings as errors, and a coverage that is too low as a failure', () => {
    const text = junit(
      report({ results: [], findings: [{ ...FINDING, severity: 'error' }], ...covered(89.99) }),
    )
    const elements = readXml(text)
    expect(elements[0]?.attributes).toMatchObject({ tests: '2', failures: '1', errors: '1' })
    expect(elements.find(({ name }) => name === 'error')?.text).toContain('p,a:b/x.rego:3:7')
    expect(readXml(junit(report({ results: [], ...covered(90) })))[0]?.attributes).toMatchObject({
      failures: '0',
    })
  })

  it('is a document without any test too', () => {
    expect(readXml(junit(report({ results: [] })))).toHaveLength(1)
  })
})

describe("GitHub's workflow commands", () => {
  it('escape what would end a property or the command', () => {
    expect(githubFindings([FINDING])).toEqual([
      '::warning file=p%2Ca%3Ab/x.rego,line=3,col=7,title=silent_deny::a, b: 100 %25%0Aof it%0Amend it',
    ])
  })

  it('are one for each failure, and none for what passes', () => {
    const lines = githubTests(report(covered(10)))
    expect(lines).toHaveLength(2)
    expect(lines[0]).toMatch(/^::error file=p\/s.scenario.yaml,line=9,col=1,title=test_failed::/)
    expect(lines.every(line => !line.includes('\n'))).toBe(true)
  })
})

describe('a finding', () => {
  const shown = (file: string, text: string, place: Partial<Finding>): string[] => {
    const folder = temporaryFolder({})
    mkdirSync(folder, { recursive: true })
    writeFileSync(path.join(folder, file), text)
    return showFinding({ ...FINDING, file: path.join(folder, file), ...place })
      .split('\n')
      .slice(2)
  }

  it('has the line and a caret under the place, through tabs and wide letters', () => {
    expect(shown('x.rego', 'package x\n\n\tü := input.y\n', { line: 3, column: 7 })).toEqual([
      '  3 | \tü := input.y',
      '    | \t     ^',
      '  hint: mend it',
    ])
  })

  it('has none where there is no such line, and none of a config, which may hold a secret', () => {
    expect(shown('x.rego', 'package x\n', { line: 9 })).toEqual(['  hint: mend it'])
    expect(shown('x.rego', 'package x\n', { line: 0 })).toEqual(['  hint: mend it'])
    expect(shown('gateway.config.json', '{"admin": {"token": "hush"}}', { line: 1 })).toEqual([
      '  hint: mend it',
    ])
  })
})

describe('what has failed', () => {
  it.each([
    ['nothing', { results: [] }, false],
    ['a warning', { results: [], findings: [FINDING] }, false],
    ['a test', {}, true],
    ['a finding', { results: [], findings: [{ ...FINDING, severity: 'error' as const }] }, true],
    ['coverage that is below', { results: [], ...covered(89.99) }, true],
    ['coverage that is not', { results: [], ...covered(90) }, false],
    ['coverage that is not known', { results: [], threshold: 1 }, true],
  ])('%s', (_what, more, failed) => {
    expect(hasFailed(report(more))).toBe(failed)
  })
})

it('lines are told as ranges', () => {
  expect(ranges([3, 4, 5, 9, 11, 12])).toBe('3-5, 9, 11-12')
  expect(ranges([])).toBe('')
})

describe('a path', () => {
  const folder = (): string =>
    temporaryFolder({
      'policies/a.rego': '',
      'policies/sub/x.scenario.yaml': '',
      'other/b.rego': '',
      'more/y.scenario.yaml': '',
      'more/notes.txt': '',
      'bundle.tar.gz': '',
    })

  it('inside the policy narrows it; elsewhere it is another policy, or scenarios of this one', () => {
    const at = folder()
    const policy = path.join(at, 'policies')
    const target = (name: string) => testTargets([path.join(at, name)], policy)
    expect(target('policies')).toEqual([{ folder: policy, only: undefined, scenarios: [] }])
    expect(target('policies/sub')).toEqual([{ folder: policy, only: [`${policy}/sub`], scenarios: [] }])
    expect(target('policies/a.rego')).toEqual([{ folder: policy, only: [`${policy}/a.rego`], scenarios: [] }])
    expect(target('other')).toEqual([{ folder: `${at}/other`, only: undefined, scenarios: [] }])
    const scenarios = [`${at}/more/y.scenario.yaml`]
    expect(target('more')).toEqual([{ folder: policy, only: [], scenarios }])
    expect(target('more/y.scenario.yaml')).toEqual([{ folder: policy, only: [], scenarios }])
  })

  it('that is not there, or holds no tests, is wrong usage', () => {
    const at = folder()
    for (const name of ['nowhere', 'bundle.tar.gz', 'more/notes.txt', 'more'])
      expect(() => testTargets([path.join(at, name)], undefined)).toThrow(
        expect.objectContaining({ status: 2 }),
      )
  })
})
