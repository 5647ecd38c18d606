/**
 * Test results and findings as JUnit XML: a suite for each file.
 */
import type { Finding } from '../contract/findings.ts'
import type { TestReport } from './test-report.ts'

interface Case {
  readonly suite: string
  readonly name: string
  readonly line: number
  readonly problem?: { readonly element: 'failure' | 'error'; readonly message: string }
}

export function junit(report: TestReport): string {
  return document(casesOf(report))
}

export function junitFindings(findings: readonly Finding[]): string {
  return document(findings.map(caseOf))
}

function document(cases: readonly Case[]): string {
  const suites = [...new Set(cases.map(({ suite }) => suite))].map(name =>
    suiteText(
      name,
      cases.filter(({ suite }) => suite === name),
    ),
  )
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="sallyport"${counts(cases)}>\n${suites.join('')}</testsuites>`
}

function casesOf({ results, findings, coverage, threshold }: TestReport): Case[] {
  const cases: Case[] = results.map(({ name, file, line, outcome, message }) => ({
    suite: file,
    name,
    line,
    ...(outcome === 'fail' ? { problem: { element: 'failure', message } } : {}),
  }))
  cases.push(...findings.map(caseOf))
  if (coverage && threshold !== undefined) {
    const message = `${coverage.percent} % of lines, and ${threshold} % are asked for`
    const below = coverage.percent < threshold
    cases.push({
      suite: 'coverage',
      name: `at least ${threshold} % of lines`,
      line: 0,
      ...(below ? { problem: { element: 'failure', message } } : {}),
    })
  }
  return cases
}

/** A warning is a case that passes. */
function caseOf({ file, line, column, code, message, severity }: Finding): Case {
  const problem = { element: 'error', message: `${file}:${line}:${column}: ${message}` } as const
  return { suite: file, name: code, line, ...(severity === 'error' ? { problem } : {}) }
}

function suiteText(name: string, cases: readonly Case[]): string {
  return `  <testsuite name="${xml(name)}"${counts(cases)}>\n${cases.map(caseText).join('')}  </testsuite>\n`
}

function caseText({ suite, name, line, problem }: Case): string {
  const classname = suite.replace(/\.(rego|scenario\.yaml)$/, '').replaceAll('/', '.')
  const place = line > 0 ? ` file="${xml(suite)}" line="${line}"` : ''
  const open = `    <testcase name="${xml(name)}" classname="${xml(classname)}"${place}`
  if (!problem) return `${open}/>\n`
  const { element, message } = problem
  const [first = ''] = message.split('\n')
  return `${open}>\n      <${element} message="${xml(first)}">${xml(message)}</${element}>\n    </testcase>\n`
}

function counts(cases: readonly Case[]): string {
  const of = (element: string): number => cases.filter(({ problem }) => problem?.element === element).length
  return ` tests="${cases.length}" failures="${of('failure')}" errors="${of('error')}"`
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\n': '&#10;',
  '\t': '&#9;',
}

/** What XML cannot hold in any form is U+FFFD. */
function xml(text: string): string {
  return (
    text
      .toWellFormed()
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is replaced
      .replace(/[\u0000-\u0008\u000b\u000c\u000d\u000e-\u001f\ufffe\uffff]/g, '\ufffd')
      .replace(/[&<>"\n\t]/g, character => ENTITIES[character] as string)
  )
}
