/**
 * `npm run floods`: what a client that behaves sees while others flood the gateway, as a table for
 * docs/reliability.md. It comes from another address than they do, as it would.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Agent, createServer, request } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startTinySlm } from '../examples/tiny-slm/server.ts'
import { type RunningGateway, startGateway, stopAll } from '../test/support/gateway.ts'
import { ATTACKS } from './floods/attacks.ts'

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '10' }, rate: { type: 'string', default: '25' } },
})
const BODY = '{"model":"tiny","max_tokens":4,"messages":[{"role":"user","content":"hello"}]}'
const ATTACKER = fileURLToPath(new URL('floods/attacker.ts', import.meta.url))

/** Sends events for as long as they are taken. */
const endless = createServer((_request, response) => {
  const event = `data: ${'x'.repeat(16_000)}\n\n`
  const send = (): void => {
    while (response.write(event));
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' }).on('drain', send)
  send()
}).listen(0, '127.0.0.1')
await once(endless, 'listening')
const model = await startTinySlm()
const gateway = await startGateway({
  keys: [{ principal: 'dev' }, { principal: 'eve' }],
  // As it is unless told otherwise, but for an address that may hold fewer connections, and less patience.
  config: {
    listen: { timeouts: { headers: '5s', body: '5s' } },
    limits: { connectionsPerAddress: 200 },
    pools: {
      chat: { models: ['tiny'], targets: [{ url: model.url }] },
      endless: {
        models: ['endless'],
        targets: [{ url: `http://127.0.0.1:${(endless.address() as { port: number }).port}` }],
        health: false,
      },
    },
  },
})
const { hostname, port } = new URL(gateway.url)
const agent = new Agent({ keepAlive: true, maxSockets: 4 })

/** @returns The status, 0 for none. */
function ask(): Promise<number> {
  return new Promise(resolve => {
    const asking = request({
      agent,
      host: hostname,
      port,
      localAddress: '127.0.0.2',
      method: 'POST',
      path: '/v1/chat/completions',
      headers: { authorization: `Bearer ${gateway.keys.dev}`, 'content-length': BODY.length },
    })
    asking.on('response', response => response.resume().on('end', () => resolve(response.statusCode ?? 0)))
    asking.on('error', () => resolve(0))
    asking.end(BODY)
  })
}

/** Milliseconds of each answer, and how many were none or no 200. */
async function behave(): Promise<{ times: number[]; errors: number }> {
  const times: number[] = []
  let errors = 0
  const asked: Promise<void>[] = []
  const total = Number(values.seconds) * Number(values.rate)
  for (let sent = 0; sent < total; sent++) {
    const began = performance.now()
    asked.push(
      ask().then(status => {
        if (status === 200) times.push(performance.now() - began)
        else errors++
      }),
    )
    await pause(1000 / Number(values.rate))
  }
  await Promise.all(asked)
  return { times: times.sort((one, other) => one - other), errors }
}

function rssMib({ process: { pid } }: RunningGateway): number {
  const [, kib] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Math.round(Number(kib) / 1024)
}

/** Records in the audit log. */
async function recorded(): Promise<number> {
  return (await gateway.status()).audit.seq
}

async function line(name: string): Promise<string> {
  const before = await recorded()
  const { times, errors } = await behave()
  // Of one that is answered there are two.
  const refused = (await recorded()) - before - 2 * times.length
  const at = (share: number): string =>
    (times[Math.min(times.length - 1, Math.floor(share * times.length))] ?? Number.NaN).toFixed(1)
  const cells = [name, refused, times.length, errors, at(0.5), at(0.99), at(1), rssMib(gateway)]
  return `| ${cells.join(' | ')} |\n`
}

process.stdout.write(
  '| meanwhile | refused, on record | answered 200 | not | p50 ms | p99 ms | worst ms | memory MiB |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n',
)
await behave()
process.stdout.write(await line('nothing'))
for (const name of Object.keys(ATTACKS)) {
  const attacker = spawn(
    process.execPath,
    ['--import', 'tsx', ATTACKER, name, hostname, port, String(gateway.keys.eve)],
    {
      stdio: 'inherit',
    },
  )
  await pause(2000)
  process.stdout.write(await line(name))
  attacker.kill('SIGKILL')
  await pause(1000)
}
agent.destroy()
const verified = await gateway.command('audit', 'verify')
if (verified.code !== 0) throw new Error('the audit log does not verify')
await stopAll()
endless.closeAllConnections()
endless.close()
await model.close()
