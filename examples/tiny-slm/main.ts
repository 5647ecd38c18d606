/**
 * The command line of the tiny language model server.
 */
import { parseArgs } from 'node:util'
import { startTinySlm } from './server.ts'

const HELP = `Usage: npx tsx examples/tiny-slm/main.ts [options]

  --port N                 where to listen on 127.0.0.1; 0 takes a free port (default 9001)
  --model NAME             a model to serve; may be given more than once (default tiny)
  --tokens-per-second N    how fast to write; 0 is as fast as possible (default 0)
  --slots N                generate for N requests at a time; the others wait (default: no end)
  --prompt-token-ms N      what a token of a prompt costs that was not read before (default 0)
  --remember N             how many prompts are remembered (default 16)
  --name NAME              what to answer in the header x-tiny-slm (default tiny-slm)
  --fault FAULT            refuse, hang, break, 500 or garbage; with :N only every Nth request
`

try {
  await main(process.argv.slice(2))
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = error instanceof RangeError || error instanceof TypeError ? 2 : 3
}

async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      port: { type: 'string', default: '9001' },
      model: { type: 'string', multiple: true, default: ['tiny'] },
      'tokens-per-second': { type: 'string', default: '0' },
      slots: { type: 'string' },
      'prompt-token-ms': { type: 'string', default: '0' },
      remember: { type: 'string', default: '16' },
      name: { type: 'string', default: 'tiny-slm' },
      fault: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return void process.stdout.write(HELP)

  const server = await startTinySlm({
    port: number('port', values.port, 0, 65_535),
    models: values.model,
    tokensPerSecond: number('tokens-per-second', values['tokens-per-second'], 0),
    slots: values.slots === undefined ? Number.POSITIVE_INFINITY : number('slots', values.slots, 1),
    promptTokenMs: number('prompt-token-ms', values['prompt-token-ms'], 0),
    remembered: number('remember', values.remember, 0),
    name: values.name,
    fault: values.fault ?? null,
  })
  process.once('SIGTERM', server.close)
  process.once('SIGINT', server.close)
  process.stdout.write(`${JSON.stringify({ event: 'listening', url: server.url })}\n`)
}

function number(flag: string, text: string, from: number, to = Number.MAX_SAFE_INTEGER): number {
  const value = Number(text)
  if (text.trim() !== '' && value >= from && value <= to) return value
  throw new RangeError(`--${flag} ${text}: expected a number of at least ${from}`)
}
