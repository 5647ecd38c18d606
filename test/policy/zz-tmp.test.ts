import {test} from 'vitest'
import {ask} from './rego.ts'
test('x',()=>{
 for (const e of ['[input.x+0.2, input.o/3, input.x*3, 1e17+input.x, 2*input.o/3]', 'bits.lsh(input.o, 10001)','bits.lsh(input.o, 100000)','bits.lsh(input.o, 1000000)'])
  for (const m of ['refuse'] as const)
  { let r; const t=performance.now(); try { r = ask(e,{x:0.1,o:1},m)} catch(x){ r=String((x as any).code)+' '+(x as Error).message } console.log(e,m,String(r).slice(0,200)+' '+(performance.now()-t|0)) }
})
