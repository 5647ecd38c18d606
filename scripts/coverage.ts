/**
 * Coverage of `src/` by lines, of the tests in their own process and of the real command that
 * they start, together. Prints a table of the files that are not whole, and the total.
 *
 *     npm run coverage [-- --threshold 90]
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'

const PROCESSES = path.resolve('coverage/processes')
const run = (command: string, args: string[], env: NodeJS.ProcessEnv = {}): void => {
  execFileSync(command, args, { stdio: 'inherit', env: { ...process.env, ...env } })
}

rmSync('coverage', { recursive: true, force: true })
run('npm', ['run', '--silent', 'build'])
run('npx', ['vitest', 'run', '--coverage', '--coverage.reportsDirectory=coverage/tests'], {
  CHILD_COVERAGE: PROCESSES,
})
const report = [
  'report',
  '--temp-directory',
  PROCESSES,
  '--reports-dir',
  'coverage/children',
  '--reporter',
  'lcovonly',
]
run('npx', ['c8', ...report, '--exclude-after-remap', '--include', 'src/**'])

/** File → line → how often it ran. */
type Lines = Map<string, Map<number, number>>

function read(file: string): Lines {
  const lines: Lines = new Map()
  let current = new Map<number, number>()
  for (const row of existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []) {
    if (row.startsWith('SF:')) {
      current = new Map()
      lines.set(path.relative(process.cwd(), path.resolve(row.slice(3))), current)
    } else if (row.startsWith('DA:')) {
      const [line, hits] = row.slice(3).split(',').map(Number) as [number, number]
      current.set(line, hits)
    }
  }
  return lines
}

// The first report tells which lines are statements; the second only adds to their hits.
const tests = read('coverage/tests/lcov.info')
const children = read('coverage/children/lcov.info')
let all = 0
let hit = 0
for (const [file, lines] of [...tests].sort()) {
  const missed = [...lines]
    .filter(([line, hits]) => hits === 0 && !((children.get(file)?.get(line) ?? 0) > 0))
    .map(([line]) => line)
  all += lines.size
  hit += lines.size - missed.length
  if (missed.length > 0) {
    const percent = ((1 - missed.length / lines.size) * 100).toFixed(1)
    process.stdout.write(`${percent.padStart(5)} %  ${file}: ${missed.join(', ')}\n`)
  }
}
const total = (hit / all) * 100
process.stdout.write(`\n${total.toFixed(1)} % of ${all} lines of src/ are covered\n`)
const threshold = Number(process.argv[process.argv.indexOf('--threshold') + 1] || 0)
process.exitCode = total < threshold ? 1 : 0
