/**
 * What goes wrong during the soak, in turn: reloads good and bad, a server that breaks, fails, hangs or is
 * killed, a stalled process, a store that goes away.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { startTinySlm, type TinySlm } from '../../examples/tiny-slm/server.ts'
import type { RunningGateway } from '../../test/support/gateway.ts'
import { startRedis, type TestRedis } from '../../test/support/redis.ts'
import { policyOf } from './policy.ts'

export interface World {
  readonly gateway: RunningGateway
  model: TinySlm
  redis: TestRedis | undefined
}

export const startModel = (port = 0): Promise<TinySlm> => startTinySlm({ port, tokensPerSecond: 500 })

const FAULT_MS = 3000

async function whileFault(world: World, fault: string): Promise<void> {
  world.model.setFault(fault)
  await pause(FAULT_MS)
  world.model.setFault(null)
}

type Disturbance = (world: World, turn: number) => Promise<void> | void

export const DISTURBANCES: Readonly<Record<string, Disturbance>> = {
  'another policy': ({ gateway }, turn) => gateway.writePolicy(policyOf(turn)),
  'a server that breaks off': world => whileFault(world, 'break:3'),
  'a policy that is none': ({ gateway }) =>
    gateway.writePolicy({ 'gateway.rego': 'package gateway\n\nnone' }),
  'the policy mended': ({ gateway }, turn) => gateway.writePolicy(policyOf(turn)),
  'a server that fails': world => whileFault(world, '500:2'),
  'another config': ({ gateway }, turn) => {
    const file = path.join(gateway.folder, 'gateway.config.json')
    const config = JSON.parse(readFileSync(file, 'utf8')) as object
    writeFileSync(
      file,
      JSON.stringify({ ...config, pricing: { tiny: { input: 1 + (turn % 7), output: 2 } } }),
    )
  },
  'the server killed and started again': async world => {
    const { port } = world.model
    await world.model.close()
    await pause(FAULT_MS)
    world.model = await startModel(port)
  },
  SIGHUP: ({ gateway }) => void gateway.process.kill('SIGHUP'),
  'the process stopped and continued': async ({ gateway }) => {
    gateway.process.kill('SIGSTOP')
    await pause(1000)
    gateway.process.kill('SIGCONT')
  },
  'Redis killed and started again, empty': async world => {
    if (!world.redis) return
    await world.redis.stop('SIGKILL')
    await pause(FAULT_MS)
    world.redis = await startRedis({ port: Number(new URL(world.redis.url).port) })
  },
}
