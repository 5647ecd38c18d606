/**
 * `npm run fuzz`: hostile bytes at a built gateway, with a witness behind it.
 *
 *     npm run fuzz -- [--inputs 100000] [--seed N] [--from N]
 *
 * The seed is printed; the same seed gives the same inputs. Exits 1 when there is a problem.
 */
import { parseArgs } from 'node:util'
import { fuzz, startFuzzed } from '../test/fuzz/fuzz.ts'
import { stopAll } from '../test/support/gateway.ts'
import { startWitness } from '../test/support/witness.ts'

const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '100000' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 30)) },
    from: { type: 'string', default: '0' },
  },
})
const seed = Number(values.seed)
const from = Number(values.from)
process.stdout.write(`seed ${seed}\n`)

const witness = await startWitness()
const gateway = await startFuzzed(witness.url)
const began = performance.now()
const onProgress = (done: number): void => {
  if (done % 10_000 === 0) process.stdout.write(`${done} inputs\n`)
}
try {
  const report = await fuzz(gateway, witness, { seed, from, until: from + Number(values.inputs), onProgress })
  const { problems, ...counts } = report
  const seconds = Math.round((performance.now() - began) / 1000)
  const verified = (await gateway.command('audit', 'verify')).stdout.trim()
  process.stdout.write(`${JSON.stringify({ ...counts, problems: problems.length, seconds })}\n${verified}\n`)
  for (const problem of problems.slice(0, 50)) process.stdout.write(`${problem}\n`)
  process.exitCode = problems.length > 0 ? 1 : 0
} finally {
  await stopAll()
  await witness.close()
}
