// What the page uses of Apache ECharts; esbuild leaves out the rest.
import { use } from "echarts/core";
import { BarChart, CustomChart, LineChart, LinesChart, ParallelChart, ScatterChart } from "echarts/charts";
import { GridComponent, MarkLineComponent, ParallelComponent, TooltipComponent } from "echarts/components";
import { ScatterJitter } from "echarts/features";
import { CanvasRenderer } from "echarts/renderers";

export { init } from "echarts/core";

use([
  BarChart,
  CustomChart,
  LineChart,
  LinesChart,
  ParallelChart,
  ScatterChart,
  GridComponent,
  MarkLineComponent,
  ParallelComponent,
  TooltipComponent,
  ScatterJitter,
  CanvasRenderer,
]);
